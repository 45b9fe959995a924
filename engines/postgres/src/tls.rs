//! Certificates for the server, made here: one of an authority of its own whose key nobody keeps, so
//! that nothing else is ever signed with it. It must not know how the server is told.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
};

use camino::{Utf8Path, Utf8PathBuf};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

/// Where the three files are in the data directory.
const FOLDER: &str = "tls";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// It cannot be written.
    #[error("cannot write {0}")]
    File(Utf8PathBuf, #[source] io::Error),
}

/// The files of a server with TLS.
#[derive(Debug)]
pub(crate) struct Files {
    /// The certificate of the server, and those between it and the authority.
    pub(crate) certificate: Utf8PathBuf,
    /// Its secret key.
    pub(crate) key: Utf8PathBuf,
    /// The certificate of the authority, for clients.
    pub(crate) authority: Utf8PathBuf,
}

impl Files {
    /// Those that are made here.
    pub(crate) fn of(data: &Utf8Path) -> Self {
        let folder = data.join(FOLDER);
        Self {
            certificate: folder.join("server.crt"),
            key: folder.join("server.key"),
            authority: folder.join("ca.crt"),
        }
    }
}

/// Makes an authority and a certificate for these host names and addresses. Earlier ones are
/// replaced; none of them ever ends.
pub(crate) fn certify(data: &Utf8Path, names: &[String]) -> Result<(), TlsError> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name = called("doze");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut server = CertificateParams::new(names)?;
    server.distinguished_name = called(names.first().map_or("doze", String::as_str));
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;

    let folder = data.join(FOLDER);
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder);
    made.map_err(|error| TlsError::File(folder, error))?;
    let files = Files::of(data);
    write(&files.key, &key.serialize_pem())?;
    write(&files.certificate, &certificate.pem())?;
    write(&files.authority, &authority.pem())
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// Replaces a file as a whole.
fn write(path: &Utf8Path, text: &str) -> Result<(), TlsError> {
    let aside = path.with_extension("new");
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&aside, path))
        .map_err(|error| TlsError::File(path.to_owned(), error))
}

//! A publisher's keys: ed25519 (RFC 8032), and the file that holds the secret one.
//!
//! Must not know what is signed with them.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    str::FromStr,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use camino::{Utf8Path, Utf8PathBuf};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// The first line of a file with a secret key.
const HEAD: &str = "doze-secret-key 1";

/// Whose signatures are believed; as text the base64 (RFC 4648 §4) of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// The text is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an ed25519 public key of 32 bytes in base64")]
pub struct PublicKeyError;

impl PublicKey {
    /// The key in its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the signature is this key's over exactly these bytes. Strict: one message and one
    /// key have one signature, and keys that sign everything are none.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        let bytes = decode(text).ok_or(PublicKeyError)?;
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(PublicKeyError),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = PublicKeyError;

    fn try_from(text: String) -> Result<Self, PublicKeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// What a key says of a message; as text the base64 of its 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

/// The text is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an ed25519 signature of 64 bytes in base64")]
pub struct SignatureError;

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        decode(text).map(Self).ok_or(SignatureError)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The half of a key that its publisher keeps. Never shown: not even by `Debug`.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// Why a file with a secret key could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    /// The operating system gives no random bytes.
    #[error("the operating system has no random bytes for a new key")]
    Random(#[source] getrandom::Error),
    /// There is a file already; it may be the only copy of a key.
    #[error("{0} exists; doze does not overwrite a secret key, name another file")]
    Exists(Utf8PathBuf),
    /// The file cannot be read or written.
    #[error("cannot use the secret key {path}")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Somebody else may have read it.
    #[error(
        "the secret key {path} has mode {mode:04o}, so others can read it; run \
         `chmod 0600 {path}`, and `doze registry rotate-key` if others did"
    )]
    Open {
        /// The file.
        path: Utf8PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("{0} does not hold a secret key that this doze can read")]
    Text(Utf8PathBuf),
}

impl SecretKey {
    /// Makes a key of the operating system's randomness.
    pub fn generate() -> Result<Self, SecretKeyError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(SecretKeyError::Random)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that these 32 bytes are the seed of (RFC 8032 §5.1.5). They have to be random.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The half that everybody may know.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs exactly these bytes.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    /// Reads the key from its file, which nobody else may be able to read.
    pub fn read(path: &Utf8Path) -> Result<Self, SecretKeyError> {
        let failed = |source| SecretKeyError::File {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SecretKeyError::Open {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = String::new();
        file.take(256).read_to_string(&mut text).map_err(failed)?;
        text.strip_prefix(HEAD)
            .and_then(|rest| decode(rest.trim()))
            .map(|seed| Self::from_seed(&seed))
            .ok_or_else(|| SecretKeyError::Text(path.to_owned()))
    }

    /// Writes the key to a new file, for its owner only, and waits until it is on the disk.
    pub fn write_new(&self, path: &Utf8Path) -> Result<(), SecretKeyError> {
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            writeln!(file, "{HEAD}\n{}", STANDARD.encode(self.0.as_bytes()))?;
            file.sync_all()
        };
        write().map_err(|source| {
            let path = path.to_owned();
            if source.kind() == io::ErrorKind::AlreadyExists {
                SecretKeyError::Exists(path)
            } else {
                SecretKeyError::File { path, source }
            }
        })
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret half of {}", self.public())
    }
}

/// Reads base64 of exactly `N` bytes; there is one text for each value.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use doze_contract::error::chain;

    use super::*;

    #[test]
    fn the_vectors_of_rfc_8032_are_met() {
        // §7.1, TEST 1 and TEST 2.
        let bytes = |hex: &str| -> Vec<u8> {
            let (pairs, _) = hex.as_bytes().as_chunks::<2>();
            let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
            pairs.iter().map(|pair| byte(pair)).collect()
        };
        let key = |seed| SecretKey::from_seed(&bytes(seed).try_into().unwrap());
        let one = key("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        assert_eq!(
            one.public().as_bytes().to_vec(),
            bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        );
        let two = key("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
        assert_eq!(
            two.sign(&[0x72]).0.to_vec(),
            bytes(
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                 085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            )
        );
    }

    #[test]
    fn a_key_has_one_text_and_a_weak_one_is_none() {
        let key = SecretKey::from_seed(&[7; 32]).public();
        let text = key.to_string();
        assert_eq!(text.parse(), Ok(key));
        let unpadded = text.trim_end_matches('=');
        let mut point = [0; 32];
        point[0] = 1;
        let neutral = STANDARD.encode(point);
        for wrong in ["", unpadded, &text.replace('=', " "), &neutral] {
            assert_eq!(wrong.parse::<PublicKey>(), Err(PublicKeyError), "{wrong}");
        }
    }

    #[test]
    fn a_secret_key_is_for_its_owner_and_is_not_overwritten() {
        let world = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(world.path()).unwrap().join("key");
        let key = SecretKey::generate().unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
        assert_eq!(SecretKey::read(&path).unwrap().public(), key.public());
        assert!(!format!("{key:?}").contains(&STANDARD.encode(key.0.as_bytes())));

        let again = SecretKey::generate().unwrap().write_new(&path).unwrap_err();
        assert!(
            matches!(again, SecretKeyError::Exists(_)),
            "{}",
            chain(&again)
        );
        assert_eq!(SecretKey::read(&path).unwrap().public(), key.public());

        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let open = SecretKey::read(&path).unwrap_err();
        assert!(
            matches!(open, SecretKeyError::Open { mode: 0o640, .. }),
            "{}",
            chain(&open)
        );
    }
}

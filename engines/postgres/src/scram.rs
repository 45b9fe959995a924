//! Passwords as the server keeps them: verifiers of SCRAM-SHA-256, after RFC 5802 and chapter 53.8
//! of the manual (`pg_authid`). With one nobody can log in, and the password is in no statement.
//! It must not know any role.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac_array;
use sha2::{Digest, Sha256};

const MECHANISM: &str = "SCRAM-SHA-256";

/// As the server has it by default.
const ITERATIONS: u32 = 4096;

/// One with more was made by hand, and is not worth the time.
const MOST_ITERATIONS: u32 = 1_000_000;

/// A verifier of `password`, with a salt of its own.
pub(crate) fn verifier(password: &str) -> Result<String, getrandom::Error> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    Ok(salted(password, &salt, ITERATIONS))
}

/// The same for a password that nobody can guess, so that guessing need not be made slow.
pub(crate) fn verifier_of_random(password: &str) -> Result<String, getrandom::Error> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)?;
    Ok(salted(password, &salt, 1))
}

/// Whether `verifier` is one of `password`.
pub(crate) fn is_of(verifier: &str, password: &str) -> bool {
    salt(verifier).is_some_and(|(salt, iterations)| {
        iterations <= MOST_ITERATIONS && salted(password, &salt, iterations) == verifier
    })
}

fn salt(verifier: &str) -> Option<(Vec<u8>, u32)> {
    let (mechanism, rest) = verifier.split_once('$')?;
    let (iterations, rest) = rest.split_once(':')?;
    let (salt, _keys) = rest.split_once('$')?;
    if mechanism != MECHANISM {
        return None;
    }
    let salt = BASE64_STANDARD.decode(salt).ok()?;
    Some((salt, iterations.parse().ok()?))
}

fn salted(password: &str, salt: &[u8], iterations: u32) -> String {
    // What SASLprep forbids is taken as it is, by the server and by libpq alike.
    let prepared = stringprep::saslprep(password).unwrap_or(password.into());
    let salted: [u8; 32] = pbkdf2_hmac_array::<Sha256, 32>(prepared.as_bytes(), salt, iterations);
    let stored_key = Sha256::digest(keyed(salted, b"Client Key"));
    let server_key = keyed(salted, b"Server Key");
    format!(
        "{MECHANISM}${iterations}:{}${}:{}",
        BASE64_STANDARD.encode(salt),
        BASE64_STANDARD.encode(stored_key),
        BASE64_STANDARD.encode(server_key)
    )
}

fn keyed(key: [u8; 32], text: &[u8]) -> [u8; 32] {
    // HMAC takes a key of any length, and this one fills the half of a block.
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = from;
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_of_its_password_and_of_no_other() {
        let one = verifier("s3cret").unwrap();
        assert_ne!(one, verifier("s3cret").unwrap());
        assert!(is_of(&one, "s3cret"));
        assert!(!is_of(&one, "s3cret "));
        for other in ["", "md5abc", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:!!$a:b"] {
            assert!(!is_of(other, "s3cret"), "{other}");
        }
        assert!(!is_of(&one.replace("$4096:", "$4000000000:"), "s3cret"));
    }

    #[test]
    fn the_example_of_the_rfc_has_the_keys_of_the_rfc() {
        // RFC 7677, section 3: the proof of the example follows from this stored key.
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = salted("pencil", &salt, 4096);
        let stored = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=";
        let server = "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(
            verifier,
            format!("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==${stored}:{server}")
        );
    }
}

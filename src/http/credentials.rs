//! Checks a caller's token or signature, and reads the headers that hold them.

use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::STANDARD_PAD_INDIFFERENT as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// The token in a caller's `Authorization` header.
#[derive(Debug)]
pub enum PresentedToken {
    /// No token: the header is missing or has another scheme, or its token is empty.
    None,
    /// A token.
    Token(SecretString),
    /// A header that cannot be parsed.
    Malformed,
}

/// Reads `Authorization`: the password of Basic with any user name, or the token of Bearer. Flagger sends Basic for
/// `http://any:TOKEN@host/…`.
#[must_use]
pub fn presented(headers: &HeaderMap) -> PresentedToken {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return PresentedToken::None };
    let Ok(value) = value.to_str() else { return PresentedToken::Malformed };
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    let token = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        match BASE64.decode(rest.trim()).ok().and_then(|pair| String::from_utf8(pair).ok()) {
            None => return PresentedToken::Malformed,
            Some(pair) => pair.split_once(':').map(|(_, password)| password.to_owned()).unwrap_or_default(),
        }
    } else {
        return PresentedToken::None;
    };
    if token.is_empty() { PresentedToken::None } else { PresentedToken::Token(SecretString::from(token)) }
}

/// Whether `token` is one of `valid`, in constant time: the time depends neither on which one matches nor on where they
/// differ.
#[must_use]
pub fn is_one_of(token: &SecretString, valid: &[SecretString]) -> bool {
    valid.iter().fold(false, |found, valid| found | constant_time_eq(token, valid))
}

/// Compares digests, which have the same length, so that `hmac` compares them in constant time.
fn constant_time_eq(a: &SecretString, b: &SecretString) -> bool {
    let digest = |secret: &SecretString| {
        Hmac::<Sha256>::new_from_slice(b"compare").ok().map(|mac| mac.chain_update(secret.expose_secret()))
    };
    let (Some(a), Some(b)) = (digest(a), digest(b)) else { return false };
    a.verify(&b.finalize().into_bytes()).is_ok()
}

/// Whether `signature`, as in `X-Hub-Signature`, signs `body` with one of `secrets`. Only `sha256=<hex>` counts: the
/// caller chooses the method that the header names, and must not be able to choose a weaker one.
#[must_use]
pub fn is_signed(body: &[u8], signature: &str, secrets: &[SecretString]) -> bool {
    let mut claimed = [0; 32];
    let digits = signature.strip_prefix("sha256=").unwrap_or_default();
    if hex::decode_to_slice(digits, &mut claimed).is_err() {
        return false;
    }
    secrets.iter().fold(false, |found, secret| {
        let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes());
        found | mac.is_ok_and(|mac| mac.chain_update(body).verify_slice(&claimed).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn secrets(lines: &[&str]) -> Vec<SecretString> {
        lines.iter().map(|line| SecretString::from((*line).to_owned())).collect()
    }

    /// Atlassian's published example.
    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNATURE: &str = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9";

    #[test]
    fn the_published_signature_is_accepted_and_nothing_near_it() {
        let key = secrets(&[SECRET]);
        assert!(is_signed(b"Hello World!", SIGNATURE, &key));
        assert!(is_signed(b"Hello World!", &SIGNATURE.replace('a', "A").replace("shA", "sha"), &key));
        assert!(is_signed(b"Hello World!", SIGNATURE, &secrets(&["the new one", SECRET])));
        assert!(!is_signed(b"Hello, World!", SIGNATURE, &key));
        assert!(!is_signed(b"Hello World!", SIGNATURE, &secrets(&["It's a secret to everybody"])));
        assert!(!is_signed(b"Hello World!", SIGNATURE, &[]));
        let hex = SIGNATURE.trim_start_matches("sha256=");
        for odd in [
            String::new(),
            "sha256=".to_owned(),
            hex.to_owned(),
            format!("sha1={hex}"),
            format!("sha512={hex}"),
            format!("SHA256={hex}"),
            format!("sha256= {hex}"),
            format!("sha256={}", &hex[..62]),
            format!("sha256={hex}00"),
            format!("sha256={}é", &hex[..62]),
            format!("sha256={}+9", &hex[..62]),
            format!("sha256={}", "0".repeat(64)),
            // SHA-1 of the same body and key, as older senders sign.
            "sha1=9a2f2a6d8ddc1f4d1f7f3e2d9be1c8f6a0b9c1d2".to_owned(),
        ] {
            assert!(!is_signed(b"Hello World!", &odd, &key), "{odd}");
        }
    }

    #[test]
    fn tokens_are_compared_whole() {
        let valid = secrets(&["new", "old"]);
        let token = |token: &str| is_one_of(&SecretString::from(token.to_owned()), &valid);
        assert!(token("new") && token("old"));
        for wrong in ["", "ne", "neww", "NEW", "new\0", "new old"] {
            assert!(!token(wrong), "{wrong:?}");
        }
        assert!(!is_one_of(&SecretString::from("new".to_owned()), &[]));
    }

    #[test]
    fn the_header_is_read() {
        let read = |value: &str| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            match presented(&HeaderMap::from_iter([(header::AUTHORIZATION, value)])) {
                PresentedToken::None => "nothing".to_owned(),
                PresentedToken::Malformed => "garbled".to_owned(),
                PresentedToken::Token(token) => format!("token {}", token.expose_secret()),
            }
        };
        for (value, expected) in [
            ("Bearer s3cret", "token s3cret"),
            ("bearer  s3cret ", "token s3cret"),
            ("Bearer", "nothing"),
            ("Bearer ", "nothing"),
            ("Basic YW55OnMzY3JldA==", "token s3cret"),
            ("basic YW55OnMzY3JldA", "token s3cret"),
            ("Basic OnMzOmNyZXQ=", "token s3:cret"),
            ("Basic YW55Og==", "nothing"),
            ("Basic YW55", "nothing"),
            ("Basic a", "garbled"),
            ("Basic YW55OnM=Yw", "garbled"),
            ("Basic ****", "garbled"),
            ("Basic /////w==", "garbled"),
            ("Digest username=x", "nothing"),
            ("é", "garbled"),
            ("", "nothing"),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
        assert!(matches!(presented(&HeaderMap::new()), PresentedToken::None));
    }
}

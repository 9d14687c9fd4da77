//! Service account keys that work at the twin.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rsa::KeyPair;
use ring::signature::KeyPair as _;
use serde_json::{Value, json};

use crate::engine::credentials::ServiceAccount;

/// A public test key (see `src/testkey/README.md`): every service account that the twin makes signs with it.
const TEST_KEY: &str = include_str!("../testkey/service-account.pem");

/// The service account that a twin starts with.
pub const DEFAULT_EMAIL: &str = "rollcall@twin.iam.gserviceaccount.com";
/// Its numeric client id.
pub const DEFAULT_CLIENT_ID: &str = "100000000000000000001";

/// The scopes that the default service account is granted: reading, and for scenarios writing, the Directory API.
pub fn default_scopes() -> BTreeSet<String> {
    [
        "admin.directory.user",
        "admin.directory.user.readonly",
        "admin.directory.user.alias",
        "admin.directory.user.alias.readonly",
        "admin.directory.group",
        "admin.directory.group.readonly",
        "admin.directory.group.member",
        "admin.directory.group.member.readonly",
        "admin.directory.customer.readonly",
        "admin.directory.domain.readonly",
        "admin.directory.orgunit.readonly",
        "admin.reports.audit.readonly",
    ]
    .into_iter()
    .map(|it| format!("https://www.googleapis.com/auth/{it}"))
    .collect()
}

/// A service account whose key file is [`key_file`].
pub fn service_account(client_email: &str, client_id: &str, scopes: BTreeSet<String>) -> ServiceAccount {
    ServiceAccount {
        client_email: client_email.to_owned(),
        client_id: client_id.to_owned(),
        public_key: STANDARD.encode(test_public_key()),
        scopes,
    }
}

/// The JSON key file that Google's console would have given out, with the twin's token endpoint in it: write it to
/// `secrets/google.json`.
pub fn key_file(client_email: &str, client_id: &str, token_uri: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": "twin",
        "private_key_id": "0000000000000000000000000000000000000001",
        "private_key": TEST_KEY,
        "client_email": client_email,
        "client_id": client_id,
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_uri,
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "universe_domain": "googleapis.com",
    })
}

/// The public half of the test key: DER of an RSAPublicKey; empty if the key file was damaged.
fn test_public_key() -> Vec<u8> {
    let key = from_pem(TEST_KEY).and_then(|der| KeyPair::from_pkcs8(&der).ok());
    key.map(|it| it.public_key().as_ref().to_vec()).unwrap_or_default()
}

/// A public key as ring wants it (DER of an RSAPublicKey) from PEM or base64, with or without the frame that says which
/// kind of key it is.
pub(super) fn public_key(text: &str) -> Option<Vec<u8>> {
    const RSA: [u8; 13] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let der = from_pem(text)?;
    let Some(at) = der.windows(RSA.len()).position(|it| it == RSA) else {
        return Some(der);
    };
    // A bit string follows: its tag, its length in one to four bytes, and the number of unused bits.
    let rest = der.get(at + RSA.len()..)?;
    let (tag, rest) = rest.split_first()?;
    let (length, rest) = rest.split_first()?;
    let skipped = if *length & 0x80 == 0 { 0 } else { usize::from(*length & 0x7f) };
    let key = rest.get(skipped + 1..)?;
    (*tag == 0x03).then(|| key.to_vec())
}

/// The bytes between the lines of a PEM file, or of plain base64.
fn from_pem(text: &str) -> Option<Vec<u8>> {
    let body: String = text.lines().filter(|it| !it.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_key_is_whole_and_a_framed_public_key_is_unwrapped() {
        let bare = test_public_key();
        assert!(bare.len() > 256);
        let mut frame = vec![0x30, 0x82, 0x01, 0x22, 0x30, 0x0d];
        frame.extend([0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]);
        frame.extend([0x03, 0x82, 0x01, 0x0f, 0x00]);
        frame.extend(&bare);
        assert_eq!(public_key(&STANDARD.encode(frame)), Some(bare.clone()));
        assert_eq!(public_key(&STANDARD.encode(&bare)), Some(bare));
    }
}

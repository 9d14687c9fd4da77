//! A twin with a small made-up company, and a client that signs in like a service account.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use reqwest::{Client, Method, Response};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use twin::{Config, Running, Twin};

/// Reading users, groups and members.
pub(crate) const READ: &str = "https://www.googleapis.com/auth/admin.directory.user.readonly \
     https://www.googleapis.com/auth/admin.directory.group.readonly";
/// Writing them.
pub(crate) const WRITE: &str = "https://www.googleapis.com/auth/admin.directory.user \
     https://www.googleapis.com/auth/admin.directory.group";

/// A running twin, a client and an access token.
pub(crate) struct Site {
    pub(crate) running: Running,
    pub(crate) client: Client,
    pub(crate) token: String,
}

/// Five people of ours, one outside, three groups nested in a row, one group of others.
pub(crate) fn company() -> Value {
    let person = |id: &str, email: &str, given: &str, family: &str, external: bool| json!({"id": id, "email": email, "given_name": given, "family_name": family, "external": external});
    let member = |id: &str, kind: &str, role: &str| json!({"id": id, "type": kind, "role": role});
    json!({
        "format": "orgdir-snapshot/1",
        "users": [
            person("u1", "Ada@example.com", "Ada", "Lovelace", false),
            person("u2", "bob@example.com", "Bob", "Builder", false),
            person("u3", "cyd@example.com", "Cyd", "Charisse", false),
            person("u4", "dan@example.com", "Dan", "Dare", false),
            person("u5", "eve@other.example.org", "Eve", "Elsewhere", true),
        ],
        "groups": [
            {"id": "g1", "email": "all@example.com", "name": "All", "description": "Everybody", "external": false,
             "members": [member("g2", "GROUP", "MEMBER"), member("u1", "USER", "OWNER"), member("g9", "GROUP", "MEMBER")]},
            {"id": "g2", "email": "dev@example.com", "name": "Dev", "description": "", "external": false,
             "members": [member("g3", "GROUP", "MEMBER"), member("u2", "USER", "MEMBER"), member("u5", "USER", "MEMBER")]},
            {"id": "g3", "email": "core@example.com", "name": "Core", "description": "", "external": false,
             "members": [{"id": "u3", "type": "USER", "role": "MANAGER", "as_written": "Cyd@Example.com"}]},
            {"id": "g9", "email": "them@other.example.org", "name": "Them", "description": "", "external": true,
             "members": []},
        ],
    })
}

/// Starts a twin with the company and signs in with these scopes.
pub(crate) async fn site(scopes: &str) -> Site {
    let site = bare(&company()).await;
    let token = sign_in(&site.client, &site.running, "sync@example.com", scopes).await;
    Site { token, ..site }
}

/// Starts a twin with a world, not signed in.
pub(crate) async fn bare(world: &Value) -> Site {
    // Every test installs it; the first one wins.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let running = Twin::start(Config::default()).await.unwrap();
    running.twin.load(world.to_string().as_bytes()).unwrap();
    Site { running, client: Client::new(), token: String::new() }
}

/// An access token for a subject.
pub(crate) async fn sign_in(client: &Client, running: &Running, subject: &str, scopes: &str) -> String {
    let answer = ask_token(client, running, &assertion(&claims(running, subject, scopes), false)).await;
    let body: Value = answer.json().await.unwrap();
    body["access_token"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

/// Sends an assertion to the token endpoint.
pub(crate) async fn ask_token(client: &Client, running: &Running, assertion: &str) -> Response {
    let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)];
    client.post(format!("{}/token", running.google_url())).form(&form).send().await.unwrap()
}

/// Claims as yup-oauth2 sends them.
pub(crate) fn claims(running: &Running, subject: &str, scopes: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": running.service_account_key()["client_email"],
        "sub": subject,
        "scope": scopes,
        "aud": format!("{}/token", running.google_url()),
        "iat": now,
        "exp": now + 3595,
    })
}

/// A signed assertion, with or without the padding that some clients add.
pub(crate) fn assertion(claims: &Value, padded: bool) -> String {
    let key = twin::google::key::key_file("a", "b", "c");
    let pem = key["private_key"].as_str().unwrap();
    let der = STANDARD.decode(pem.lines().filter(|it| !it.starts_with("---")).collect::<String>()).unwrap();
    let key = RsaKeyPair::from_pkcs8(&der).unwrap();
    let encode = |bytes: &[u8]| if padded { URL_SAFE.encode(bytes) } else { URL_SAFE_NO_PAD.encode(bytes) };
    let signed = format!("{}.{}", encode(br#"{"alg":"RS256"}"#), encode(claims.to_string().as_bytes()));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", encode(&signature))
}

impl Site {
    /// A call of the Directory API.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Response> {
        let url = format!("{}/admin/directory/v1/{path}", self.running.google_url());
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await
    }

    /// Reads, and answers status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.send(Method::GET, path, None).await.unwrap()).await
    }

    /// Writes, and answers status and body.
    pub(crate) async fn write(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        read(self.send(method, path, Some(body)).await.unwrap()).await
    }

    /// A call of the operator.
    pub(crate) async fn operate(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.running.admin_url());
        read(self.client.request(method, url).json(&body).send().await.unwrap()).await
    }

    /// All items of a list, page by page; fails on anything but 200.
    pub(crate) async fn walk(&self, path: &str, name: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut next = String::new();
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let (status, body) = self.get(&format!("{path}{separator}pageToken={next}")).await;
            assert_eq!(status, 200, "{body}");
            all.extend(body[name].as_array().cloned().unwrap_or_default());
            match body["nextPageToken"].as_str() {
                Some(token) => token.clone_into(&mut next),
                None => return all,
            }
        }
    }
}

/// Status and JSON body; null if there is none.
pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

/// The values of one field.
pub(crate) fn column<'a>(items: &'a [Value], name: &str) -> Vec<&'a str> {
    items.iter().map(|it| it[name].as_str().unwrap_or("")).collect()
}

/// The folder with the real data, if it is there.
pub(crate) fn data() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    folder.is_dir().then_some(folder)
}

//! One connection to the operators' API.

use std::path::Path;
use std::time::Duration;

use contract::ops;
use reqwest::{Method, StatusCode, Url};
use runtime::{Exit, Fault};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::OptionalServer;

/// How long an answer may take. Explaining reads whole mirrors the first time.
const ANSWER_WITHIN: Duration = Duration::from_mins(2);

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The longest token file that is read.
const TOKEN_BYTES_MAX: usize = 4096;

/// The operators' API, asked with somebody's token.
pub(super) struct Client {
    base: Url,
    token: SecretString,
    http: reqwest::Client,
}

impl Client {
    /// The one that is named, for a verb that also works without.
    pub(super) fn of(named: &OptionalServer) -> Result<Self, Fault> {
        Self::new(named.server.as_ref().unwrap_or(&SecretString::default()), named.token_file.as_deref())
    }

    /// Reads the token and prepares the connection. A query of the address (`?tenant=acme`) goes with every request.
    pub(super) fn new(server: &SecretString, token_file: Option<&Path>) -> Result<Self, Fault> {
        let wrong = |why: &str| {
            Fault::new("E0310", Exit::Usage, format!("the address of the operators' API {why}"))
                .help("write it as http://127.0.0.1:7400, or https:// where it is not on this machine")
        };
        let base = Url::parse(server.expose_secret()).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("bears a user or a password: who asks is known by the token alone"));
        }
        let loopback = outbound::is_loopback(&base);
        match base.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(wrong("is not on this machine and not https: your token could be read on its way")),
            _ => return Err(wrong("is neither http nor https")),
        }
        let token = token(token_file)?;
        let library =
            |error: &dyn std::fmt::Display| Fault::new("E0311", Exit::Error, format!("TLS cannot be set up: {error}"));
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(outbound::tls_config().map_err(|error| library(&error))?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .no_proxy();
        let http = builder.build().map_err(|error| library(&error.without_url()))?;
        Ok(Self { base, token, http })
    }

    /// Looks.
    pub(super) async fn get<Answer: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Answer, Fault> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        self.answer(self.http.request(Method::GET, url)).await
    }

    /// Changes.
    pub(super) async fn post<Body: Serialize + Sync, Answer: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &Body,
    ) -> Result<Answer, Fault> {
        let url = self.url(path)?;
        self.answer(self.http.request(Method::POST, url).json(body)).await
    }

    fn url(&self, path: &[&str]) -> Result<Url, Fault> {
        let mut url = self.base.clone();
        let opaque = || Fault::new("E0310", Exit::Usage, "the address of the operators' API has no host");
        url.path_segments_mut().map_err(|()| opaque())?.pop_if_empty().extend(["api", "v1"]).extend(path);
        Ok(url)
    }

    async fn answer<Answer: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<Answer, Fault> {
        let request = request.bearer_auth(self.token.expose_secret());
        let unreachable = |error: reqwest::Error| {
            let why = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
            Fault::new("E0312", Exit::TryLater, format!("the operators' API at {} {why}", self.shown()))
                .help("is the console running (`rollcall up`, or rollcall-console)? give its address with --server")
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|_| {
                Fault::new("E0316", Exit::Error, format!("what answers at {} is no operators' API", self.shown()))
                    .help("check --server, and that the console and this command are of one release")
            });
        }
        Err(fault(status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    fn shown(&self) -> String {
        runtime::fault::without_password(self.base.as_str())
    }
}

/// What the server refused, with the exit code that says of which kind it is.
fn fault(status: StatusCode, failure: ops::Failure) -> Fault {
    let message = if failure.message.is_empty() { format!("the server answered {status}") } else { failure.message };
    let (code, exit) = match status.as_u16() {
        401 => ("E0313", Exit::Error),
        403 | 409 => ("E0314", Exit::Held),
        400..=499 => ("E0315", Exit::Usage),
        502..=504 => ("E0317", Exit::TryLater),
        _ => ("E0317", Exit::Error),
    };
    Fault::new(code, exit, message).help(failure.help)
}

fn token(file: Option<&Path>) -> Result<SecretString, Fault> {
    let help = "write the token that you were given into a file that only you can read, and name it with \
                --token-file or ROLLCALL_TOKEN_FILE";
    let Some(path) = file else {
        return Err(Fault::new("E0318", Exit::Usage, "the operators' API wants to know who asks").help(help));
    };
    let fault =
        |why: String| Fault::new("E0318", Exit::Usage, format!("the token file {} {why}", path.display())).help(help);
    let text = std::fs::read_to_string(path).map_err(|cause| fault(format!("cannot be read: {cause}")))?;
    let token = text.trim();
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(fault("does not hold one token on one line".to_owned()));
    }
    Ok(SecretString::from(token))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn each_kind_of_refusal_has_its_exit_code() {
        let codes = [(401, 1), (403, 3), (409, 3), (400, 64), (404, 64), (421, 64), (503, 75), (500, 1)];
        for (status, exit) in codes {
            let fault = fault(StatusCode::from_u16(status).unwrap(), ops::Failure::default());
            assert_eq!(fault.exit.code(), exit, "{status}");
        }
    }

    #[test]
    fn a_token_goes_to_this_machine_or_by_tls_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "hunter2-hunter2\n").unwrap();
        let made = |server: &str| Client::new(&server.into(), Some(&file)).map(|_| ());
        assert!(made("http://127.0.0.1:7400").is_ok());
        assert!(made("http://localhost:7400/?tenant=acme").is_ok());
        assert!(made("https://console.acme.example").is_ok());
        for wrong in ["http://console.acme.example", "http://10.0.0.1:7400", "ftp://127.0.0.1", "127.0.0.1:7400", ""] {
            assert_eq!(made(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
        let refused = made("https://kim:hunter2@console.acme.example").unwrap_err();
        assert!(refused.code == "E0310" && !refused.to_string().contains("hunter2"), "{refused}");
        assert_eq!(Client::new(&"http://127.0.0.1:7400".into(), None).map(|_| ()).unwrap_err().code, "E0318");
    }

    #[test]
    fn the_tenant_of_the_address_goes_with_every_request() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "hunter2-hunter2\n").unwrap();
        let client = Client::new(&"http://127.0.0.1:7400/?tenant=acme".into(), Some(&file)).unwrap();
        let url = client.url(&["conflicts", "cloud", "a/b"]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:7400/api/v1/conflicts/cloud/a%2Fb?tenant=acme");
        assert!(!client.shown().contains("hunter2"));
    }
}

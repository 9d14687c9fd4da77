//! A twin in one process and requests to its Atlassian routes.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::server::{Shared, Twin};
use crate::world::atlassian::edit::Edit;
use crate::world::atlassian::{Act, DIRECTORY, ORGANIZATION, SCIM_DIRECTORY};
use crate::world::{Cause, World};

/// A twin with the sample keys and a few people: `ann`, `bob`, `cat` at `acme.com` (claimed), `eve@outside.org`.
pub(crate) struct Bench {
    pub(crate) twin: Shared,
    router: Router,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

pub(crate) const ORG_KEY: &str = "Bearer twin-org-key";
pub(crate) const SCIM_KEY: &str = "Bearer twin-scim-key";

impl Bench {
    pub(crate) fn new() -> Self {
        let twin: Shared = Arc::new(Twin::default());
        twin.engine.credentials().merge(super::sample_credentials("bot@acme.com"));
        // A virtual clock, so that nothing depends on how long a test takes.
        twin.engine.clock.set(1_800_000_000_000);
        let bench = Self { router: super::router().with_state(Arc::clone(&twin)), twin };
        let people = ["bot@acme.com", "ann@acme.com", "bob@acme.com", "cat@acme.com", "eve@outside.org"];
        let accounts = people.map(|it| json!({ "email": it, "name": it.split('@').next() }));
        bench.edit(json!({ "op": "load",
            "organizations": [{ "id": ORGANIZATION, "name": "Acme", "directory": DIRECTORY, "domains": ["acme.com"],
                "products": [{ "resource": "ari:cloud:jira-software::site/acme", "key": "jira-software",
                    "name": "Jira", "site": "acme", "seats": null }] }],
            "accounts": accounts }));
        bench
    }

    pub(crate) fn edit(&self, edit: Value) {
        let edit: Edit = serde_json::from_value(edit).unwrap();
        let mut world = self.twin.world();
        let World { atlassian, log, .. } = &mut *world;
        let cause = Cause { at: self.twin.engine.clock.now(), family: "twin".to_owned(), ..Cause::default() };
        atlassian.edit(edit, &mut Act { cause: &cause, log }).unwrap();
    }

    pub(crate) fn switch(&self, change: impl FnOnce(&mut crate::world::atlassian::AtlassianSwitches)) {
        change(&mut self.twin.world().atlassian.switches);
    }

    pub(crate) fn account(&self, email: &str) -> String {
        let world = self.twin.world();
        let accounts = world.atlassian.accounts();
        let index = accounts.with_email(email).first().copied().unwrap();
        accounts.get(index).unwrap().id.clone()
    }

    pub(crate) fn group(&self, name: &str) -> String {
        self.twin.world().atlassian.organization(ORGANIZATION).unwrap().base.group_named(name).unwrap().1.id.clone()
    }

    pub(crate) fn members(&self, name: &str) -> Vec<String> {
        let key = crate::world::atlassian::BaseKey::Organization(ORGANIZATION.to_owned());
        self.twin.world().atlassian.memberships(&key).get(name).cloned().unwrap_or_default()
    }

    pub(crate) async fn send(&self, method: &str, path: &str, authorization: &str, body: Value) -> Reply {
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder().method(method).uri(path).header("authorization", authorization);
        let request = request.header("host", "127.0.0.1:1").body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: parts.status.as_u16(), headers: parts.headers, text, body }
    }

    /// Organization API v2, below the directory.
    pub(crate) async fn org(&self, method: &str, path: &str, body: Value) -> Reply {
        let path = format!("/admin/v2/orgs/{ORGANIZATION}/directories/{DIRECTORY}/{path}");
        self.send(method, &path, ORG_KEY, body).await
    }

    /// User provisioning, below the directory.
    pub(crate) async fn scim(&self, method: &str, path: &str, body: Value) -> Reply {
        let path = format!("/scim/directory/{SCIM_DIRECTORY}/{path}");
        self.send(method, &path, SCIM_KEY, body).await
    }

    /// Jira, below `/rest/api/3/`.
    pub(crate) async fn jira(&self, method: &str, path: &str, body: Value) -> Reply {
        let token = format!("Basic {}", STANDARD.encode("bot@acme.com:twin-api-token"));
        self.send(method, &format!("/rest/api/3/{path}"), &token, body).await
    }
}

impl Reply {
    /// Code of the first error of the organization API.
    pub(crate) fn code(&self) -> &str {
        self.body.pointer("/errors/0/code").and_then(Value::as_str).unwrap_or_default()
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }
}

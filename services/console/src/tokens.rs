//! Who may ask: a file that names each bearer token's person and role. The file holds digests of tokens, never tokens.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use model::TenantId;
use runtime::{Exit, Fault};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

/// What somebody may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Tells that somebody signed in, and nothing else: what a hook of a sign-in page holds.
    Hook,
    /// Looks.
    Viewer,
    /// Redrives, asks for reads, pauses, sets groups aside.
    Operator,
    /// Approves and rejects, adopts groups, gives dead letters up.
    Approver,
    /// Everything.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 5] = [Self::Hook, Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The name in the token file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

/// Who proposes what nobody set in motion by hand.
pub(crate) const POLICY: &str = "policy";

/// Somebody who showed a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their name, in lower case: "Kim" and "kim" are one person, and four eyes are two persons.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whose deployments they may see; `None`: all.
    pub tenants: Option<Vec<TenantId>>,
}

/// The tokens of one reading of the file.
#[derive(Debug, Default)]
pub struct Tokens {
    entries: Vec<([u8; 32], Arc<Person>)>,
}

/// The token file, read again while the process runs.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    text: RwLock<String>,
    tokens: RwLock<Arc<Tokens>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    person: String,
    role: Role,
    sha256: String,
    tenants: Option<Vec<TenantId>>,
}

impl Tokens {
    /// Reads the file's text.
    ///
    /// # Errors
    /// What is wrong, by the number of the entry; never shows what stands where a digest should.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The parser's own message quotes the line, which may hold a token that somebody put there by mistake.
        let file: FileText = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count());
            format!("line {}: {}", place.max(1), error.message().lines().next().unwrap_or_default())
        })?;
        let mut tokens = Self::default();
        for (at, entry) in file.token.into_iter().enumerate() {
            let number = at + 1;
            let mut digest = [0; 32];
            hex::decode_to_slice(&entry.sha256, &mut digest)
                .map_err(|_| format!("token {number}: sha256 must be the 64 hexadecimal digits of a SHA-256"))?;
            let name = entry.person.trim().to_lowercase();
            if name.is_empty() || name.chars().any(char::is_control) || name == POLICY {
                return Err(format!("token {number}: person must be a name, and not \"{POLICY}\""));
            }
            if digest == <[u8; 32]>::from(Sha256::digest([])) {
                return Err(format!("token {number}: sha256 is that of an empty token"));
            }
            if tokens.entries.iter().any(|(known, _)| *known == digest) {
                return Err(format!("token {number}: the same token stands there twice"));
            }
            tokens.entries.push((digest, Arc::new(Person { name, role: entry.role, tenants: entry.tenants })));
        }
        if tokens.entries.is_empty() {
            return Err("there is no [[token]] in it, so nobody could ask anything".to_owned());
        }
        Ok(tokens)
    }

    /// Whose token this is. Looks at every entry, whichever matches, so that time tells nothing.
    pub fn find(&self, token: &str) -> Option<Arc<Person>> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = u32::MAX;
        for (at, (known, _)) in self.entries.iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            found.conditional_assign(&at, known.ct_eq(&digest));
        }
        self.entries.get(usize::try_from(found).ok()?).map(|(_, person)| Arc::clone(person))
    }
}

impl TokenFile {
    /// Opens the file.
    ///
    /// # Errors
    /// E0301 when it cannot be read or cannot be right.
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let (text, tokens) = read(path)?;
        Ok(Self { path: path.to_owned(), text: RwLock::new(text), tokens: RwLock::new(Arc::new(tokens)) })
    }

    /// The tokens as last read.
    pub(crate) fn current(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again if it changed: whoever was taken out of it is out within seconds. A file that cannot be
    /// right changes nothing.
    ///
    /// # Errors
    /// As [`TokenFile::open`].
    pub(crate) fn refresh(&self) -> Result<(), Fault> {
        let (text, tokens) = read(&self.path)?;
        let mut known = self.text.write().unwrap_or_else(PoisonError::into_inner);
        if *known != text {
            *known = text;
            *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
            tracing::info!(event.name = "rollcall.console.tokens", "the token file was read again");
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<(String, Tokens), Fault> {
    let fault = |why: String| {
        Fault::new("E0301", Exit::Error, format!("the token file {}: {why}", path.display())).help(
            "write [[token]] entries with person, role and sha256 (of the token: `printf %s \"$TOKEN\" | sha256sum`)",
        )
    };
    let text = std::fs::read_to_string(path).map_err(|cause| fault(format!("cannot be read: {cause}")))?;
    let tokens = Tokens::parse(&text).map_err(fault)?;
    Ok((text, tokens))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn entry(person: &str, role: &str, token: &str) -> String {
        let sha256 = hex::encode(Sha256::digest(token.as_bytes()));
        format!("[[token]]\nperson = \"{person}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\n")
    }

    #[test]
    fn a_token_finds_its_person_and_no_other_does() {
        let text = entry("Kim@acme.example", "operator", "one") + &entry("ravi", "approver", "two");
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.find("one").unwrap().name, "kim@acme.example");
        assert_eq!(tokens.find("two").unwrap().role, Role::Approver);
        for wrong in ["", "three", "One", "one ", &hex::encode(Sha256::digest(b"one"))] {
            assert_eq!(tokens.find(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_stands_where_a_digest_should_is_never_shown() {
        let literal = "[[token]]\nperson = \"kim\"\nrole = \"viewer\"\nsha256 = \"hunter2\"\n";
        let key = "[[token]]\nperson = \"kim\"\nrole = \"viewer\"\ntoken = \"hunter2\"\n";
        let broken = "[[token]]\nsha256 = \"hunter2\n";
        for text in [literal, key, broken] {
            let said = Tokens::parse(text).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn files_that_cannot_be_right_are_refused() {
        let twice = entry("kim", "viewer", "one") + &entry("ravi", "admin", "one");
        for text in ["", &twice, &entry("kim", "owner", "x"), &entry(" ", "viewer", "x"), &entry("kim", "viewer", "")] {
            assert!(Tokens::parse(text).is_err(), "{text}");
        }
        assert!(Tokens::parse(&entry("policy", "admin", "x")).is_err(), "the policy proposes and never decides");
    }

    #[test]
    fn roles_rise() {
        assert!(Role::ALL.is_sorted());
        assert!(Role::Hook < Role::Viewer && Role::Viewer < Role::Operator && Role::Approver < Role::Admin);
    }
}

//! Secrets by reference: `file:PATH` or `env:NAME`, never a value.
//!
//! A reference is safe to store, log and show. What it leads to is a [`SecretString`], which has no `Display`, shows
//! nothing in `Debug` and is wiped when dropped.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;

/// No credential of a vendor is longer; a larger file is a mistake (a device, a log).
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretRef {
    /// A file, relative to the folder of the policy file that names it.
    File(PathBuf),
    /// An environment variable of the process.
    Env(String),
}

/// Why a secret is not to be had. Never shows a value; a literal that was given in place of a reference is a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is neither `file:…` nor `env:…`.
    #[error("a secret must be a reference, `file:PATH` or `env:NAME`; what was given is not shown")]
    Literal,
    /// The reference lacks the path or name after the colon.
    #[error("the secret reference `{0}:` names nothing")]
    Empty(&'static str),
    /// The file is missing or may not be read.
    #[error("cannot read the secret file {path}: {cause}")]
    File {
        /// The file as resolved.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file has no text in it, is not text, or is far too long.
    #[error("the secret file {path} {problem}")]
    Content {
        /// The file as resolved.
        path: PathBuf,
        /// What is wrong with it, without any of it.
        problem: &'static str,
    },
    /// The variable is not set, or set to nothing.
    #[error("the environment variable {0} is not set; it should hold a secret")]
    Env(String),
}

impl SecretRef {
    /// Fetches the secret. `base` is the folder that relative paths start from; white space at both ends is cut off,
    /// because editors and `echo` add a line end.
    pub fn resolve(&self, base: &Path) -> Result<SecretString, SecretError> {
        match self {
            Self::File(path) => read_file(&base.join(path)),
            Self::Env(name) => match crate::config::env(name) {
                Some(value) if !value.trim().is_empty() => Ok(SecretString::from(value.trim())),
                _ => Err(SecretError::Env(name.clone())),
            },
        }
    }
}

/// A secret that is in use, and can be fetched anew when whoever it is for refuses it: a file that was replaced is taken
/// over without a restart. Clones are the same secret.
#[derive(Clone)]
pub struct Secret(Arc<Held>);

struct Held {
    from: Option<(SecretRef, PathBuf)>,
    value: Mutex<SecretString>,
}

impl Secret {
    /// Fetches the secret that a reference leads to, as [`SecretRef::resolve`] does.
    ///
    /// # Errors
    /// When it is not to be had.
    pub fn fetch(reference: SecretRef, base: &Path) -> Result<Self, SecretError> {
        let value = Mutex::new(reference.resolve(base)?);
        Ok(Self(Arc::new(Held { from: Some((reference, base.to_owned())), value })))
    }

    /// The secret as it was fetched last.
    pub fn value(&self) -> SecretString {
        self.0.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches it again. One that is not to be had just now stays as it was: a file may be missing while it is replaced.
    pub fn renew(&self) {
        let Some((reference, base)) = &self.0.from else { return };
        match reference.resolve(base) {
            Ok(value) => *self.0.value.lock().unwrap_or_else(PoisonError::into_inner) = value,
            Err(error) => tracing::warn!(%error, "a secret that was refused cannot be fetched anew; the old one stays"),
        }
    }
}

/// One that never changes.
impl From<SecretString> for Secret {
    fn from(value: SecretString) -> Self {
        Self(Arc::new(Held { from: None, value: Mutex::new(value) }))
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        SecretString::from(value).into()
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        SecretString::from(value).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.from {
            Some((reference, _)) => write!(out, "Secret({reference})"),
            None => out.write_str("Secret(…)"),
        }
    }
}

/// Parses and fetches in one step: what most callers want.
pub fn read(reference: &str, base: &Path) -> Result<SecretString, SecretError> {
    reference.parse::<SecretRef>()?.resolve(base)
}

impl FromStr for SecretRef {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("file", "")) => Err(SecretError::Empty("file")),
            Some(("env", "")) => Err(SecretError::Empty("env")),
            Some(("file", path)) => Ok(Self::File(PathBuf::from(path))),
            Some(("env", name)) => Ok(Self::Env(name.to_owned())),
            _ => Err(SecretError::Literal),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(out, "file:{}", path.display()),
            Self::Env(name) => write!(out, "env:{name}"),
        }
    }
}

fn read_file(path: &Path) -> Result<SecretString, SecretError> {
    let failed = |cause| SecretError::File { path: path.to_owned(), cause };
    let content = |problem| SecretError::Content { path: path.to_owned(), problem };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(content("is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| content("is not UTF-8 text"))?.trim();
    if text.is_empty() {
        return Err(content("is empty"));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn a_file_is_found_beside_the_policy_and_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "s3cret\n").unwrap();
        let secret = read("file:key", folder.path()).unwrap();
        assert_eq!(secret.expose_secret(), "s3cret");
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    #[test]
    fn a_literal_is_refused_and_never_shown() {
        for literal in ["hunter2", "ATATT3x:hunter2", "FILE:hunter2", ""] {
            let error = read(literal, Path::new(".")).unwrap_err();
            assert!(matches!(error, SecretError::Literal));
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_is_missing_empty_or_binary_is_named_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        std::fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        let said = |reference: &str| read(reference, folder.path()).unwrap_err().to_string();
        assert!(said("file:gone").contains("cannot read the secret file"));
        assert!(said("file:empty").ends_with("is empty"));
        assert!(said("file:binary").ends_with("is not UTF-8 text"));
        assert!(said("file:").contains("names nothing"));
        assert!(said("env:ROLLCALL_TEST_NOT_SET").contains("ROLLCALL_TEST_NOT_SET is not set"));
    }

    #[test]
    fn a_secret_that_was_replaced_is_fetched_anew_and_one_that_is_missing_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "first").unwrap();
        let secret = Secret::fetch("file:key".parse().unwrap(), folder.path()).unwrap();
        let said = |secret: &Secret| secret.value().expose_secret().to_owned();
        std::fs::write(&file, "second\n").unwrap();
        assert_eq!(said(&secret), "first");
        secret.clone().renew();
        assert_eq!(said(&secret), "second");
        std::fs::remove_file(&file).unwrap();
        secret.renew();
        assert_eq!(said(&secret), "second");
        assert!(!format!("{secret:?} {:?}", Secret::from("hunter2")).contains("hunter2"));
    }

    #[test]
    fn a_reference_reads_back_as_it_was_written() {
        for text in ["file:/run/secrets/key", "env:ORG_KEY"] {
            assert_eq!(text.parse::<SecretRef>().unwrap().to_string(), text);
        }
    }
}

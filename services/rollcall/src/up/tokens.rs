//! The token of whoever runs `up` on their own machine.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use runtime::Fault;
use sha2::{Digest as _, Sha256};

use super::private::cannot;
use crate::local::journal::actor;

/// A token file for the operators' API, and the token that opens it.
#[derive(Debug, Clone)]
pub struct LocalTokens {
    /// For the console: person, role and SHA-256.
    pub tokens: PathBuf,
    /// For `--token-file`: the token itself, readable by its owner only.
    pub token: PathBuf,
}

/// The folder's token, made on first use.
///
/// # Errors
/// When the folder cannot be written.
pub fn local(folder: &Path) -> Result<LocalTokens, Fault> {
    let (tokens, token) = (folder.join("tokens.toml"), folder.join("token"));
    if !token.exists() || !tokens.exists() {
        let secret = runtime::ids::token();
        let digest = hex::encode(Sha256::digest(secret.as_bytes()));
        // A name in a basic string: quotes and backslashes in it would end or change it.
        let person: String = actor().chars().filter(|c| !c.is_control() && *c != '"' && *c != '\\').collect();
        let text = format!("[[token]]\nperson = \"{person}\"\nrole = \"admin\"\nsha256 = \"{digest}\"\n");
        private(&token, &secret)?;
        private(&tokens, &text)?;
    }
    Ok(LocalTokens { tokens, token })
}

fn private(path: &Path, text: &str) -> Result<(), Fault> {
    let file = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|cause| cannot(path, &cause))
}

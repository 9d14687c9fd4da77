//! Addresses that are called: endpoints, sites, Data Center instances.

use super::{
    context::{Context, Said},
    section::{Section, shown},
};
use crate::diagnostic::Code;

/// What an address may have beyond scheme, host and port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing: the vendor's own paths lie below it.
    Origin,
    /// A context path.
    Path,
    /// A path; and `https`, unless the host is this machine.
    Public,
}

impl Section<'_> {
    /// An address, without a slash at its end.
    pub(crate) fn address(&self, ctx: &mut Context<'_>, key: &'static str, shape: Shape) -> Option<String> {
        let text = self.text(ctx, key)?;
        address_of(ctx, key, &text, shape)
    }

    /// An address that must be there.
    pub(crate) fn need_address(
        &self,
        ctx: &mut Context<'_>,
        key: &'static str,
        shape: Shape,
        help: &str,
    ) -> Option<String> {
        let text = self.need_text(ctx, key, help)?;
        address_of(ctx, key, &text, shape)
    }
}

fn address_of(ctx: &mut Context<'_>, key: &str, text: &Said<String>, shape: Shape) -> Option<String> {
    let wrong = match check(&text.value, shape) {
        Ok(()) => return Some(text.value.trim_end_matches('/').to_owned()),
        Err(wrong) => wrong,
    };
    let message = format!("`{key}` cannot be called: {wrong}");
    let help = match shape {
        Shape::Origin => {
            "write scheme://host:port, such as \"https://acme.atlassian.net\" or \"http://127.0.0.1:7001\""
        }
        Shape::Path => "write scheme://host:port/path, such as \"https://jira.acme.com\"",
        Shape::Public => "write an address that Google reaches, such as \"https://sync.acme.com\"",
    };
    if text.value.contains('@') {
        // Before the @ there may be a password.
        ctx.report_secret(Code::BadUrl, &text.span, message, help);
    } else {
        ctx.report(Code::BadUrl, &text.span, message, help);
    }
    None
}

fn check(text: &str, shape: Shape) -> Result<(), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("it does not begin with http:// or https://".to_owned());
    };
    if !matches!(scheme, "http" | "https") {
        return Err(format!("its scheme is neither http nor https but {}", shown(scheme)));
    }
    if rest.contains('@') {
        return Err("it holds a user name".to_owned());
    }
    if rest.contains(['?', '#', ' ', '\\']) {
        return Err("it holds a query, a fragment, a space or a backslash".to_owned());
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if shape == Shape::Origin && !path.is_empty() {
        return Err("it has a path".to_owned());
    }
    let host = host(authority)?;
    let here = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
    if shape == Shape::Public && scheme != "https" && !here {
        return Err("it is not https".to_owned());
    }
    Ok(())
}

/// The host of `host:port`, checked.
fn host(authority: &str) -> Result<&str, String> {
    let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority.get(after_bracket..).and_then(|rest| rest.find(':')) {
        Some(colon) => {
            let (host, port) = authority.split_at(after_bracket + colon);
            (host, port.get(1..))
        }
        None => (authority, None),
    };
    if let Some(port) = port
        && !port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        return Err(format!("\"{}\" is not a port", shown(port)));
    }
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fine = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_host(host),
    };
    if fine { Ok(host) } else { Err(format!("\"{}\" is not a host", shown(host))) }
}

/// Whether the text is a host name or an IPv4 address.
pub(crate) fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

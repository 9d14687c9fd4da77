//! Whom we trust at the other end of a connection. A certificate that is not trusted ends the call: nothing is sent, and
//! there is no setting that would go on all the same.

use std::error::Error;

use rustls::CertificateError;
use url::Url;

use crate::client::{ClientError, is_loopback};

/// TLS as all our connections to vendors speak it: rustls on ring, with the roots that Mozilla trusts, whatever the
/// machine has installed, and those of the file that `ROLLCALL_CA_FILE` names.
///
/// # Errors
/// When that file cannot be used, or the TLS library refuses its own defaults.
pub fn tls_config() -> Result<rustls::ClientConfig, ClientError> {
    runtime::tls::client_config(None).map_err(ClientError::Library)
}

/// Whether an address may be sent secrets: https, or plain http to this machine.
pub fn is_safe_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    })
}

/// Why the other end is not trusted, in words, if that is what an error comes from.
pub fn untrusted(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error does not name what it wraps as its source.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = error.downcast_ref::<rustls::Error>().or_else(|| wrapped?.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(why)) = found {
            return Some(in_words(why));
        }
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn in_words(why: &CertificateError) -> String {
    match why {
        // Somebody who bears the name of an authority and has not its key is nobody, too.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is signed by nobody we trust; if it is your company's own, name the authority in \
             ROLLCALL_CA_FILE"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name: check the address".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: have it renewed, or check this machine's clock".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: check this machine's clock".to_owned()
        }
        other => format!("its certificate is not to be trusted: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_certificate_is_found_below_everything_that_wraps_it() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = std::io::Error::other(std::io::Error::other(inner));
        assert!(untrusted(&wrapped).is_some_and(|why| why.contains("ROLLCALL_CA_FILE")));
        let name = std::io::Error::other(rustls::Error::InvalidCertificate(CertificateError::NotValidForName));
        assert!(untrusted(&name).is_some_and(|why| why.contains("another name")));
        assert_eq!(untrusted(&std::io::Error::other("reset")), None);
        assert_eq!(untrusted(&rustls::Error::DecryptError), None);
    }

    #[test]
    fn secrets_go_by_tls_or_to_this_machine() {
        for safe in ["https://oauth2.googleapis.com/token", "http://127.0.0.1:7001/token", "http://localhost/t"] {
            assert!(is_safe_address(safe), "{safe}");
        }
        for unsafe_ in ["http://oauth2.googleapis.com/token", "http://127.0.0.1.evil.example", "ftp://127.0.0.1", ""] {
            assert!(!is_safe_address(unsafe_), "{unsafe_}");
        }
    }
}

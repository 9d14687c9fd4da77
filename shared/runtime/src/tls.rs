//! One TLS implementation for the whole process: rustls on ring.

/// Makes ring the process's rustls provider. Every `main` and every test that opens a connection calls it first;
/// calling it again, or after somebody else chose, changes nothing.
pub fn install_provider() {
    // The error says only that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    #[test]
    fn installing_twice_is_installing_once() {
        super::install_provider();
        super::install_provider();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}

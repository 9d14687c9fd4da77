//! Connections to PostgreSQL over TLS: rustls, as everywhere.
//!
//! The certificate of the server is always checked, and its name too: `sslmode=require` and `verify-full` mean the same
//! here, and nothing means less.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};

/// Makes connections of this configuration.
#[derive(Clone)]
pub(crate) struct Tls(pub(crate) Arc<ClientConfig>);

/// One connection that is to be made: to whom.
pub(crate) struct Connecting {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// A connection.
pub(crate) struct Secured<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Secured<S>;
    type TlsConnect = Connecting;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> io::Result<Connecting> {
        let name = ServerName::try_from(domain.to_owned())
            .map_err(|_| io::Error::other("the database's host is no name that a certificate could be for"))?;
        Ok(Connecting { config: Arc::clone(&self.0), name })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Connecting {
    type Stream = Secured<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let connecting = tokio_rustls::TlsConnector::from(self.config).connect(self.name, stream);
        Box::pin(async move { Ok(Secured(connecting.await?)) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Secured<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Reads an address. `verify-full` and `verify-ca`, which others know, are what `require` is here. An address that says
/// nothing of TLS is one without: whether a server offers it is nothing to rely on.
pub(crate) fn address(url: &str) -> Result<Config, tokio_postgres::Error> {
    let url = ["verify-full", "verify-ca"]
        .into_iter()
        .fold(url.to_owned(), |url, mode| url.replace(&format!("sslmode={mode}"), "sslmode=require"));
    let mut config: Config = url.parse()?;
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(SslMode::Disable);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_address_goes_by_tls_exactly_when_it_says_so() {
        let mode = |query: &str| address(&format!("postgresql://u:p@db.example/r{query}")).unwrap().get_ssl_mode();
        for query in ["?sslmode=require", "?sslmode=verify-full", "?sslmode=verify-ca&connect_timeout=3"] {
            assert_eq!(mode(query), SslMode::Require, "{query}");
        }
        for query in ["", "?sslmode=disable", "?sslmode=prefer"] {
            assert_eq!(mode(query), SslMode::Disable, "{query}");
        }
        assert!(address("postgresql://db.example/r?sslmode=perhaps").is_err());
    }
}

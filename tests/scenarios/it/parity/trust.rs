//! 1.05: secrets go by TLS to who proves to be it, and nowhere else.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use scenarios::{Company, Outside, Said};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use super::in_group;

/// An authority of a company's own.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Result<Self> {
        let (mut parameters, key) = (CertificateParams::new(Vec::<String>::new())?, KeyPair::generate()?);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(parameters, key) })
    }

    /// A certificate for a server of this name or address.
    fn sign(&self, name: &str) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok((certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into())))
    }
}

/// Speaks TLS with this certificate before the vendor at `behind`. Gives its port.
async fn in_front(behind: String, own: (CertificateDer<'static>, PrivateKeyDer<'static>)) -> Result<u16> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.0], own.1)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                // Whoever does not trust us goes away in the middle of the greeting.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let Ok(mut vendor) = TcpStream::connect(behind).await else { return };
                let _ended = tokio::io::copy_bidirectional(&mut stream, &mut vendor).await;
            });
        }
    });
    Ok(port)
}

/// A plan with Atlassian behind this address, trusting these authorities too.
async fn plan(outside: &Outside, policy: &str, address: &str, authorities: Option<&str>) -> Result<Said> {
    outside.write_policy(&policy.replace("{atlassian}", address))?;
    let trusted = authorities.map(|pem| -> Result<String> {
        let path = outside.folder.path().join("authorities.pem");
        std::fs::write(&path, pem)?;
        Ok(path.display().to_string())
    });
    let trusted = trusted.transpose()?.unwrap_or_default();
    outside.rollcall_with(&["plan"], &[("ROLLCALL_CA_FILE", &trusted)]).await
}

fn calls(outside: &Outside) -> u64 {
    let (families, _) = outside.twin.twin.engine.counters.all();
    let ours = families.iter().filter(|(family, _)| family.starts_with("atlassian"));
    ours.flat_map(|(_, operations)| operations.values()).map(|figures| figures.calls).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_05_certificate_errors_are_fatal_and_plain_http_goes_nowhere_but_here() -> Result<()> {
    let company = Company::of(4).group("eng", 0..3);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let policy = company.policy();
    let behind = outside.twin.atlassian_url();
    let behind = behind.strip_prefix("http://").context("the twin speaks http")?.to_owned();
    let (ours, others) = (Authority::new()?, Authority::new()?);
    let good = in_front(behind.clone(), ours.sign("127.0.0.1")?).await?;
    let misnamed = in_front(behind.clone(), ours.sign("atlassian.example")?).await?;
    let refused = [
        (good, None, "signed by nobody we trust"),
        (good, Some(&others.pem), "signed by nobody we trust"),
        (misnamed, Some(&ours.pem), "for another name"),
    ];
    for (port, authorities, why) in refused {
        let said =
            plan(&outside, &policy, &format!("https://127.0.0.1:{port}"), authorities.map(String::as_str)).await?;
        assert_eq!(said.code, 1, "{}{}", said.out, said.err);
        for word in ["E0141", "cloud", why] {
            assert!(said.err.contains(word), "{word:?} is not in {}", said.err);
        }
        assert!(!said.err.contains("twin-org-key"), "{}", said.err);
    }
    assert_eq!(calls(&outside), 0, "nothing was sent, by TLS or otherwise");
    // With the authority given it works, and what is applied arrives.
    let address = format!("https://127.0.0.1:{good}");
    let trusted = plan(&outside, &policy, &address, Some(&ours.pem)).await?;
    assert_eq!(trusted.code, 0, "{}{}", trusted.out, trusted.err);
    let authorities = outside.folder.path().join("authorities.pem").display().to_string();
    let applied = outside.rollcall_with(&["apply", "--yes"], &[("ROLLCALL_CA_FILE", &authorities)]).await?;
    assert_eq!((applied.code, in_group(&outside, "eng").len()), (0, 3), "{}{}", applied.out, applied.err);
    // A file that holds no authority is an error, and not as if none were named.
    let empty = plan(&outside, &policy, &address, Some("no certificate")).await?;
    assert_eq!(empty.code, 1, "{}", empty.err);
    assert!(empty.err.contains("ROLLCALL_CA_FILE"), "{}", empty.err);
    // Plain http to another machine is refused before anything is sent.
    let before = calls(&outside);
    let plain = plan(&outside, &policy, "http://atlassian.example:8080", None).await?;
    assert!(plain.code == 1 || plain.code == 64, "{}: {}", plain.code, plain.err);
    assert!(plain.err.contains("plain http"), "{}", plain.err);
    assert_eq!(calls(&outside), before);
    // Nor does the key of the source go to a token endpoint that speaks plain http.
    let key = outside.folder.path().join("secrets/google.json");
    let mut document: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&key)?)?;
    document["token_uri"] = "http://oauth2.example/token".into();
    std::fs::write(&key, document.to_string())?;
    let token = plan(&outside, &policy, &outside.twin.atlassian_url(), None).await?;
    assert_eq!(token.code, 1, "{}", token.err);
    assert!(token.err.contains("token_uri"), "{}", token.err);
    Ok(())
}

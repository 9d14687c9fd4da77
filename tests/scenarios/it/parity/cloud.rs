//! 3: what the Cloud app does beside people and groups.

use anyhow::Result;
use scenarios::{Company, Outside};

#[tokio::test(flavor = "multi_thread")]
async fn p3_01_credentials_are_checked_at_set_up() -> Result<()> {
    let company = Company::of(3).group("staff", 0..3);
    let outside = Outside::start(&company.snapshot(), &company.policy()).await?;
    let good = outside.rollcall(&["doctor"]).await?;
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    assert_eq!(good.out.matches("the credentials are accepted").count(), 2, "{}", good.out);
    let before = outside.sequence();
    std::fs::write(outside.folder.path().join("secrets/org-key"), "not-the-key")?;
    let bad = outside.rollcall(&["doctor"]).await?;
    assert_eq!(bad.code, 1, "{}{}", bad.out, bad.err);
    assert!(bad.out.contains("directory cloud") && !bad.out.contains("not-the-key"), "{}", bad.out);
    assert_eq!(outside.sequence(), before, "a check writes nothing");
    Ok(())
}

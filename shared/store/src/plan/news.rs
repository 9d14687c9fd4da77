//! What a turn begins with: everything that may have changed since the last one, in one round trip.

use model::{CommandId, Outcome, TenantId, Time};

use super::verdicts::{self, Verdicts};
use crate::directory::{self, DirectoryVersion};
use crate::sql::Columns as _;
use crate::{Store, StoreError, seen::Client, sql};

/// Which outcomes to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited<'a> {
    /// Those of these commands: what a message told of. The cheap look, for it leaves what is under way alone.
    Of(&'a [CommandId]),
    /// All that are not settled, at most so many, whether a message told of them or not.
    All(u32),
}

/// What others committed. The outcomes are the oldest part: a letter that was committed with one of them is among the
/// verdicts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Outcomes of commands that are not settled, each with its trace, the oldest first.
    pub outcomes: Vec<(Outcome, Option<String>)>,
    /// What people decided and what stands in the way, where that was asked for.
    pub verdicts: Option<Verdicts>,
    /// How far the watchers are, and which directories they cannot read.
    pub directories: Vec<DirectoryVersion>,
}

const OUTCOMES: &str = "select o.body, c.traceparent from plan.command c join effect.outcome o on o.command = c.id
    where c.tenant = $1 and c.settled_at is null order by o.at, o.command limit $2";

const OUTCOMES_OF: &str = "select o.body, c.traceparent from unnest($2::uuid[]) as r (id)
     cross join lateral (select x.tenant, x.settled_at, x.traceparent from plan.command x where x.id = r.id limit 1) c
     cross join lateral (select x.command, x.at, x.body from effect.outcome x where x.command = r.id limit 1) o
     where c.tenant = $1 and c.settled_at is null order by o.at, o.command";

impl Store {
    /// Looks for everything that a turn takes in. `verdicts`: also for what people decided and what stands in the way.
    ///
    /// # Errors
    /// When the database does not answer or holds a row that cannot be read.
    pub async fn news(
        &self,
        tenant: &TenantId,
        now: Time,
        awaited: Awaited<'_>,
        verdicts: bool,
    ) -> Result<News, StoreError> {
        let client = self.client("news").await?;
        // Prepared first, or a statement that is prepared already would be done before one that is not.
        for statement in [OUTCOMES, OUTCOMES_OF, directory::VERSIONS].into_iter().chain(verdicts::STATEMENTS) {
            client.prepare_cached(statement).await?;
        }
        let (outcomes, verdicts, directories) = futures_util::try_join!(
            outcomes(&client, tenant, awaited),
            async {
                let look = verdicts.then(|| verdicts::verdicts(&client, tenant, now));
                futures_util::future::OptionFuture::from(look).await.transpose()
            },
            directory::versions(&client, tenant),
        )?;
        Ok(News { outcomes, verdicts, directories })
    }
}

/// Outcomes of commands that are not settled.
pub(super) async fn outcomes(
    client: &Client,
    tenant: &TenantId,
    awaited: Awaited<'_>,
) -> Result<Vec<(Outcome, Option<String>)>, StoreError> {
    let rows = match awaited {
        Awaited::Of([]) => Vec::new(),
        Awaited::Of(commands) => {
            let ids: Vec<uuid::Uuid> = commands.iter().map(|id| id.0).collect();
            sql::query_on(client, OUTCOMES_OF, &[&tenant.as_str(), &ids]).await?
        }
        Awaited::All(limit) => sql::query_on(client, OUTCOMES, &[&tenant.as_str(), &i64::from(limit)]).await?,
    };
    rows.iter().map(|row| Ok((row.json("effect.outcome", 0)?, row.try_get(1)?))).collect()
}

//! Whose directory it is. A customer is known from the first read on; whoever answers later for another one is refused.

use std::sync::{Arc, Mutex, PoisonError};

use model::{Disposition, Lane};
use outbound::ReadError;
use serde::Deserialize;

use crate::auth::Replaced;
use crate::page::{List, walk};
use crate::reader::GoogleReader;

/// What is known of the customer behind the credentials. Clones know the same.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    known: Arc<Mutex<Known>>,
    replaced: Replaced,
}

#[derive(Debug, Default)]
struct Known {
    id: Option<String>,
    /// How often secrets had been replaced when the vendor last said so; `None`: never asked.
    as_of: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfCustomer {
    #[serde(default)]
    customer_id: Option<String>,
}

impl Customer {
    pub(crate) fn new(replaced: Replaced) -> Self {
        Self { known: Arc::default(), replaced }
    }

    /// The customer that was read first.
    pub(crate) fn id(&self) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).id.clone()
    }

    pub(crate) fn times(&self) -> u64 {
        self.replaced.times()
    }

    /// Whether the credentials are still those that the customer is known by.
    fn is_sure(&self) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).as_of == Some(self.times())
    }

    /// The vendor named these customers, with the credentials as they were after so many replacements.
    ///
    /// # Errors
    /// `E0140` when one of them is another than the first that was read.
    pub(crate) fn named<'a>(&self, ids: impl Iterator<Item = &'a str>, as_of: u64) -> Result<(), ReadError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            match &known.id {
                Some(first) if first != id => return Err(other(first, id)),
                Some(_) => {}
                None => known.id = Some(id.to_owned()),
            }
        }
        known.as_of = Some(as_of);
        Ok(())
    }
}

impl GoogleReader {
    /// The customer's own id, as the first read showed it; `None`: nothing was read yet.
    pub fn customer_id(&self) -> Option<String> {
        self.known.id()
    }

    /// Does this as the customer that is known, and as nobody else: when the credentials were replaced, before or meanwhile,
    /// Google is asked whose they are before anything is believed.
    pub(crate) async fn as_customer<T>(
        &self,
        work: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        self.same_customer().await?;
        let done = work.await;
        self.same_customer().await?;
        done
    }

    /// Asks whose the credentials are, if they were replaced since that was known.
    pub(crate) async fn same_customer(&self) -> Result<(), ReadError> {
        if self.known.is_sure() {
            return Ok(());
        }
        let as_of = self.known.times();
        let query = vec![
            ("customer", self.customer.clone()),
            ("maxResults", "1".to_owned()),
            // Without the token of the next page: one row is enough.
            ("fields", "users(customerId)".to_owned()),
        ];
        let template = "/admin/directory/v1/users";
        let list = List { template, values: &[], array: "users", query, lane: Lane::Urgent };
        let walked = walk::<OfCustomer>(&self.client, &list, |_| ()).await;
        if let Some(error) = walked.error {
            return Err(error);
        }
        self.known.named(walked.rows.iter().filter_map(|row| row.customer_id.as_deref()), as_of)
    }
}

fn other(first: &str, found: &str) -> ReadError {
    ReadError {
        disposition: Disposition::Halt,
        message: format!(
            "the credentials belong to customer {found}, and this directory is customer {first}: nothing of it is believed"
        ),
        code: ReadError::OTHER_DIRECTORY.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn i05_the_first_customer_is_the_directory_and_another_is_refused() {
        let customer = Customer::new(Replaced::default());
        customer.named(["C1", "C1"].into_iter(), 0).unwrap();
        assert!(customer.is_sure());
        let refused = customer.named(["C1", "C2"].into_iter(), 0).unwrap_err();
        assert!(refused.code == "E0140" && refused.is_about_us(), "{refused}");
        assert_eq!(customer.id().unwrap(), "C1");
    }
}

//! How long the functions of this crate take, told to whoever keeps the figures.

use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Transaction, TransactionBuilder};

use crate::StoreError;

/// Who is told about calls to the database. Plain functions: this crate knows neither clocks nor registries.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// The monotonic clock.
    pub now: fn() -> Instant,
    /// A function of this crate took so long, the wait for a connection included. The error is a class, or empty.
    pub called: fn(function: &'static str, error: &'static str, took: Duration),
    /// A function of this crate begins. Gives its span, which ends with the call; `None`: nobody looks.
    pub calling: fn(function: &'static str) -> Option<tracing::Span>,
    /// What a span tells of went wrong; the error is a class.
    pub failed: fn(span: &tracing::Span, error: &str),
}

/// One call of a function of this crate; it is told about when it ends.
#[derive(Debug)]
pub(crate) struct Call {
    function: &'static str,
    seen: Option<(Seen, Instant)>,
    span: Option<tracing::Span>,
    failed: OnceLock<&'static str>,
}

impl Call {
    pub(crate) fn begin(function: &'static str, seen: Option<Seen>) -> Self {
        let span = seen.and_then(|seen| (seen.calling)(function));
        Self { function, seen: seen.map(|seen| (seen, (seen.now)())), span, failed: OnceLock::new() }
    }

    /// It went wrong; the first reason counts.
    pub(crate) fn failed(&self, class: &'static str) {
        let _is_known = self.failed.set(class);
    }

    /// Passes a result on and notes an error.
    pub(crate) fn note<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.failed(error.class());
        }
        result
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some((seen, began)) = self.seen {
            let took = (seen.now)().saturating_duration_since(began);
            let error = self.failed.get().copied().unwrap_or_default();
            (seen.called)(self.function, error, took);
            if let Some(span) = self.span.as_ref().filter(|_| !error.is_empty()) {
                (seen.failed)(span, error);
            }
        }
    }
}

/// A connection for the length of one call.
pub(crate) struct Client {
    pub(crate) object: Object,
    pub(crate) call: Call,
}

impl Client {
    /// Begins a transaction.
    pub(crate) async fn transaction(&mut self) -> Result<Tx<'_>, StoreError> {
        self.transaction_with(|builder| builder).await
    }

    /// Begins a transaction of another kind.
    pub(crate) async fn transaction_with(
        &mut self,
        kind: impl for<'a> FnOnce(TransactionBuilder<'a>) -> TransactionBuilder<'a>,
    ) -> Result<Tx<'_>, StoreError> {
        let begun = kind(self.object.build_transaction()).start().await;
        let inner = self.call.note(begun.map_err(StoreError::from))?;
        Ok(Tx { inner, end: End { call: &self.call, committed: false } })
    }
}

/// A transaction of a call. One that is dropped is undone, and the call went wrong.
pub(crate) struct Tx<'a> {
    inner: Transaction<'a>,
    end: End<'a>,
}

struct End<'a> {
    call: &'a Call,
    committed: bool,
}

impl Tx<'_> {
    /// Commits.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let Self { inner, mut end } = self;
        end.call.note(inner.commit().await.map_err(StoreError::from))?;
        end.committed = true;
        Ok(())
    }
}

impl<'a> Deref for Tx<'a> {
    type Target = Transaction<'a>;

    fn deref(&self) -> &Transaction<'a> {
        &self.inner
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if !self.committed {
            self.call.failed("rolled_back");
        }
    }
}

impl Deref for Client {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Object {
        &mut self.object
    }
}

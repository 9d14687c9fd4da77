//! Requests to running services, over core NATS: sync now, pause, resume. They wake and never decide, so one that nobody
//! hears is an error for whoever asked, and nothing else.

use std::time::Duration;

use contract::subjects;
use futures_util::StreamExt as _;
use model::TenantId;

use crate::{Bus, BusError};

/// Requests that arrive.
#[derive(Debug)]
pub struct ControlRequests {
    subscriber: async_nats::Subscriber,
    client: async_nats::Client,
}

/// One request. Dropping it leaves the asker waiting until their time is up.
#[derive(Debug)]
pub struct ControlRequest {
    verb: String,
    message: async_nats::Message,
    client: async_nats::Client,
}

impl Bus {
    /// Asks a tenant's services and waits for the first answer.
    ///
    /// # Errors
    /// [`BusError::NoService`] when nobody serves the verb, [`BusError::NotAcknowledged`] when the answer takes longer
    /// than `within`.
    pub async fn ask(
        &self,
        tenant: &TenantId,
        verb: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Vec<u8>, BusError> {
        let request = async_nats::Request::new().payload(body.into()).timeout(Some(within));
        let answer = self.client().send_request(subjects::control(tenant, verb), request).await;
        answer.map(|message| message.payload.to_vec()).map_err(|error| match error.kind() {
            async_nats::RequestErrorKind::NoResponders => BusError::NoService,
            _ => BusError::NotAcknowledged(error.to_string()),
        })
    }

    /// Serves a tenant's requests. Of all processes that name the same `group`, one hears each request; every group
    /// hears all of them. A verb that a group does not know is for others: it must not be answered.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn serve(&self, tenant: &TenantId, verb: &str, group: &str) -> Result<ControlRequests, BusError> {
        let subject = subjects::control(tenant, verb);
        let subscriber = self
            .client()
            .queue_subscribe(subject, group.to_owned())
            .await
            .map_err(|error| BusError::Unreachable(error.to_string()))?;
        Ok(ControlRequests { subscriber, client: self.client().clone() })
    }
}

impl ControlRequests {
    /// The next request; `None` when the connection is closed.
    pub async fn next(&mut self) -> Option<ControlRequest> {
        loop {
            let message = self.subscriber.next().await?;
            if let Some(verb) = subjects::control_verb(&message.subject).map(str::to_owned) {
                return Some(ControlRequest { verb, message, client: self.client.clone() });
            }
        }
    }
}

impl ControlRequest {
    /// What is asked for.
    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// With which words.
    pub fn body(&self) -> &[u8] {
        &self.message.payload
    }

    /// Answers. One that nobody waits for is dropped.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn answer(self, body: Vec<u8>) -> Result<(), BusError> {
        let Some(reply) = self.message.reply else { return Ok(()) };
        self.client.publish(reply, body.into()).await.map_err(|error| BusError::Unreachable(error.to_string()))
    }
}

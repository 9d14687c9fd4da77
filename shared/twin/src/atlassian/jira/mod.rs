//! stub
use super::incoming::Incoming;
use crate::engine::Answer;
use crate::server::Shared;
pub(crate) async fn serve(_twin: &Shared, _incoming: Incoming) -> Answer {
    Answer::empty(404)
}

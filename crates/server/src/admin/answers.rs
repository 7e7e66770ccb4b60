//! What each path answers.

use std::net::IpAddr;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rejoin_protocol::message::{MetadataValue, RoomCard};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::{LIVE_WITHIN, metrics};
use crate::directory::SharedDirectory;
use crate::report::Status;

/// What the answers are made of.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    /// By shard.
    pub(super) status: Vec<watch::Receiver<Status>>,
    pub(super) directory: SharedDirectory,
}

/// All paths.
impl Sources {
    /// Where each shard stands.
    fn standing(&self) -> Vec<Status> {
        let shards = self.status.iter();
        shards.map(|status| *status.borrow()).collect()
    }
}

pub(super) fn router(sources: Sources) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .route("/rooms", get(rooms))
        .fallback(async || (StatusCode::NOT_FOUND, PATHS))
        .layer(middleware::from_fn(by_address))
        .with_state(sources)
}

const PATHS: &str = "the paths are /livez, /readyz, /metrics and /rooms\n";

/// Refuses requests under a name: a web page elsewhere can have its own name lead here, and would then
/// read what a browser on this machine may.
async fn by_address(request: Request, next: Next) -> Response {
    if names_an_address(request.headers()) {
        next.run(request).await
    } else {
        let text = "ask by address, or as localhost\n";
        (StatusCode::FORBIDDEN, text).into_response()
    }
}

fn names_an_address(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// The loop takes turns.
async fn livez(State(sources): State<Sources>) -> (StatusCode, String) {
    alive(&sources.standing(), Instant::now())
}

/// The loop takes turns, and takes players.
async fn readyz(State(sources): State<Sources>) -> (StatusCode, String) {
    let standing = sources.standing();
    if standing.iter().all(|status| status.serves) {
        alive(&standing, Instant::now())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned())
    }
}

fn alive(standing: &[Status], now: Instant) -> (StatusCode, String) {
    let silent = |status: &Status| now.saturating_duration_since(status.turned);
    let mut silences = standing.iter().map(silent).enumerate();
    match silences.find(|(_, silence)| *silence >= LIVE_WITHIN) {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some((shard, silence)) => {
            let text = format!("no turn of shard {shard} for {} s\n", silence.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

async fn metrics_page(State(sources): State<Sources>) -> impl IntoResponse {
    let standing = sources.standing().into_iter();
    let reports: Vec<_> = standing.map(|status| status.report).collect();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, metrics::page(&reports))
}

/// The listed rooms, by id; of private ones only how many there are.
async fn rooms(State(sources): State<Sources>) -> impl IntoResponse {
    let listed = sources.directory.all();
    let rooms: Vec<Value> = listed
        .iter()
        .map(|(shard, card)| room(*shard, card))
        .collect();
    let page = json!({ "rooms": rooms, "private": sources.directory.private_len() });
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, format!("{page}\n"))
}

fn room(shard: u8, card: &RoomCard) -> Value {
    let fact = |(key, value): (&String, &MetadataValue)| {
        let value = match value {
            MetadataValue::Bool(value) => json!(value),
            MetadataValue::Int(value) => json!(value),
            MetadataValue::Text(value) => json!(value),
        };
        (key.clone(), value)
    };
    let facts: Map<String, Value> = card.metadata.iter().map(fact).collect();
    json!({
        "room": card.room.to_string(),
        "kind": card.kind,
        "shard": shard,
        "members": card.members,
        "members_max": card.members_max,
        "facts": facts,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::ServerReport;

    fn hosted(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        names_an_address(&headers)
    }

    #[test]
    fn requests_by_address_are_answered_and_those_by_name_are_not() {
        for host in [
            "127.0.0.1:9",
            "127.0.0.1",
            "[::1]:9",
            "[::1]",
            "localhost:9",
            "LOCALHOST",
        ] {
            assert!(hosted(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9",
            "localhost.evil.example",
            "",
            ":9",
        ] {
            assert!(!hosted(host), "{host}");
        }
        assert!(names_an_address(&HeaderMap::new()), "of the oldest clients");
    }

    #[test]
    fn a_shard_without_turns_is_not_alive() {
        let turned = Instant::now();
        let status = |turned| Status {
            serves: true,
            turned,
            report: ServerReport::default(),
        };
        let standing = [status(turned + Duration::from_secs(9)), status(turned)];
        let after = |seconds| alive(&standing, turned + Duration::from_secs(seconds)).0;
        assert_eq!(after(0), StatusCode::OK);
        assert_eq!(after(2), StatusCode::OK);
        assert_eq!(after(3), StatusCode::SERVICE_UNAVAILABLE);
    }
}

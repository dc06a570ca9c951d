//! The status page, the API, health and metrics: everything on the admin listener. The page has a listener of its own, if
//! one is configured.

mod go;
mod headers;
mod jira_health;
mod page;
mod query;

use std::{sync::Arc, time::Duration};

pub use self::jira_health::{JiraHealthView, Trouble};
use self::{
    go::{GoQuery, go},
    headers::{HTML, NO_REFERRER, NO_STORE, POLICY},
    jira_health::jira_health,
    page::{Gates, PageInput, PageLinks, PageQuery, render},
    query::ApiQuery,
};
use crate::{
    gatekeeper::{counts, oldest_waiting, overdue},
    http::{
        health::health,
        plain::{NOSNIFF, STORE_NOT_OPEN, method_not_allowed, not_found, text_line},
        shared::Shared,
    },
    metrics::CONTENT_TYPE,
};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Returns the health of the connection to Jira; called for each page.
pub type ReadJiraHealth = Arc<dyn Fn() -> JiraHealthView + Send + Sync>;

/// How many gates the query selects, whatever its limit.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// How long the page waits for the database.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);
/// On the listener of the page, where anybody may ask, what comes from the database may be this old.
const PUBLIC_MAX_AGE: Duration = Duration::from_secs(2);
/// On that listener, so many views are made or sent at a time: a caller who reads slowly keeps one in memory.
const PUBLIC_VIEWS: usize = 32;

#[derive(Clone)]
struct Admin {
    shared: Shared,
    jira: ReadJiraHealth,
    links: PageLinks,
    /// Limits how many views there are at a time.
    views: Arc<Semaphore>,
}

impl Admin {
    fn new(shared: Shared, jira: ReadJiraHealth, links: PageLinks) -> Self {
        let views = match links {
            PageLinks::All => Semaphore::MAX_PERMITS,
            PageLinks::PageOnly => PUBLIC_VIEWS,
        };
        Self { shared, jira, links, views: Arc::new(Semaphore::new(views)) }
    }

    /// How old that may be what the page shows from the database.
    const fn max_age(&self) -> Duration {
        match self.links {
            PageLinks::All => Duration::ZERO,
            PageLinks::PageOnly => PUBLIC_MAX_AGE,
        }
    }
}

/// Everything on the admin listener.
pub fn admin_router(shared: Shared, jira: ReadJiraHealth) -> Router {
    let health = health(shared.clone());
    let router = pages()
        .route("/api/gates", get(gates))
        .route("/api/refused", get(refused))
        .route("/api/unguarded", get(unguarded))
        .route("/api/jira", get(jira_health_json))
        .route("/metrics", get(metrics))
        .with_state(Admin::new(shared, jira, PageLinks::All));
    finish(router.merge(health))
}

/// Everything on the listener of the page.
pub fn page_router(shared: Shared, jira: ReadJiraHealth) -> Router {
    let health = health(shared.clone());
    finish(pages().with_state(Admin::new(shared, jira, PageLinks::PageOnly)).merge(health))
}

/// The pages for people, with the files that they load.
fn pages() -> Router<Admin> {
    Router::new()
        .route("/", get(page))
        .route("/go/{namespace}/{canary}", get(go_to_ticket))
        .route("/page.css", get(async || asset("text/css; charset=utf-8", include_str!("status/page.css"))))
        .route(
            "/refresh.js",
            get(async || asset("text/javascript; charset=utf-8", include_str!("../refresh.js"))),
        )
}

async fn go_to_ticket(
    path: Result<Path<(String, String)>, PathRejection>,
    wanted: Result<Query<GoQuery>, QueryRejection>,
    State(admin): State<Admin>,
) -> Response {
    go(admin.shared.gatekeeper().map(Arc::as_ref), path, wanted, admin.shared.clock.now())
}

async fn gates(wanted: Result<Query<ApiQuery>, QueryRejection>, State(admin): State<Admin>) -> Response {
    let now = admin.shared.clock.now();
    let Some(gatekeeper) = admin.shared.gatekeeper() else {
        return text_line(StatusCode::SERVICE_UNAVAILABLE, STORE_NOT_OPEN);
    };
    let wanted = wanted.map_err(|error| error.body_text()).and_then(|Query(wanted)| wanted.read());
    let (selection, skipped, most) = match wanted {
        Ok(wanted) => wanted,
        Err(why) => return text_line(StatusCode::BAD_REQUEST, &why),
    };
    let (gates, found) = gatekeeper.selected(&selection, skipped, most, now);
    ([NOSNIFF, NO_STORE, (TOTAL, HeaderValue::from(found))], Json(gates)).into_response()
}

async fn refused(State(admin): State<Admin>) -> Response {
    let refused = admin.shared.refused.recent(admin.shared.clock.now());
    ([NOSNIFF, NO_STORE], Json(refused)).into_response()
}

async fn unguarded(State(admin): State<Admin>) -> Response {
    match admin.shared.gatekeeper() {
        Some(gatekeeper) => ([NOSNIFF, NO_STORE], Json(gatekeeper.unguarded())).into_response(),
        None => text_line(StatusCode::SERVICE_UNAVAILABLE, STORE_NOT_OPEN),
    }
}

async fn jira_health_json(State(admin): State<Admin>) -> Response {
    let (now, gatekeeper) = (admin.shared.clock.now(), admin.shared.gatekeeper());
    let list = gatekeeper.map(|gatekeeper| gatekeeper.list(now)).unwrap_or_default();
    let jira = jira_health((admin.jira)(), gatekeeper.map(Arc::as_ref), &list, now);
    ([NOSNIFF, NO_STORE], Json(jira)).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let metrics = &admin.shared.metrics;
    if let Some(gatekeeper) = admin.shared.gatekeeper() {
        let now = admin.shared.clock.now();
        let list = gatekeeper.list(now);
        for (state, count) in counts(list.iter()) {
            metrics.set_gates(state, count);
        }
        metrics.oldest_waiting(oldest_waiting(&list, now));
        metrics.set_calendars_unusable(gatekeeper.unusable_calendars(now));
        metrics.overdue_gates(overdue(&list, now));
    }
    match metrics.encode() {
        Ok(text) => {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
            ([kind, NOSNIFF], text).into_response()
        }
        Err(_) => text_line(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"),
    }
}

/// A page with the permit for it, which is free again once the page was sent or the connection ended.
struct Sending {
    html: String,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Sending {
    fn as_ref(&self) -> &[u8] {
        self.html.as_bytes()
    }
}

async fn page(wanted: Result<Query<PageQuery>, QueryRejection>, State(admin): State<Admin>) -> Response {
    // Nobody closes the semaphore. The caller's connection ends after a while, also if no permit gets free.
    let permit = Arc::clone(&admin.views).acquire_owned().await.ok();
    let gatekeeper = admin.shared.gatekeeper();
    let overview = match gatekeeper {
        // The list of gates comes from memory, so it is shown even while the database hangs.
        Some(gatekeeper) => {
            Some(match timeout(DATABASE_TIMEOUT, gatekeeper.overview(admin.max_age())).await {
                Ok(overview) => overview,
                Err(_) => Err(format!("it did not answer within {} s", DATABASE_TIMEOUT.as_secs())),
            })
        }
        None => None,
    };
    // Read after the waits.
    let now = admin.shared.clock.now();
    let list = gatekeeper.map(|gatekeeper| gatekeeper.list(now)).unwrap_or_default();
    let known = PageInput {
        gates: gatekeeper.map(|gatekeeper| Gates {
            list: &list,
            shown: Box::new(move |listed| gatekeeper.gate_view(listed, now)),
            tickets: gatekeeper.store().all_open_tickets(),
            full_namespaces: gatekeeper
                .store()
                .namespaces_with_at_least(gatekeeper.config().limits.open_tickets_per_namespace),
            limits: gatekeeper.config().limits,
            trust_for: gatekeeper.config().jira.trust_for,
            idle_after: gatekeeper.config().rollout.idle_after,
            recording: gatekeeper.recording(),
        }),
        links: admin.links,
        overview,
        refused: admin.shared.refused.recent(now),
        unguarded: gatekeeper.map(|gatekeeper| gatekeeper.unguarded()).unwrap_or_default(),
        jira: jira_health((admin.jira)(), gatekeeper.map(Arc::as_ref), &list, now),
    };
    match render(&known, &wanted.map(|Query(wanted)| wanted).unwrap_or_default(), now) {
        Ok(html) => {
            let body = Body::from(Bytes::from_owner(Sending { html, _permit: permit }));
            ([HTML, NOSNIFF, NO_STORE, NO_REFERRER, POLICY], body).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the status page cannot be rendered, which is a bug; the command gates shows the same");
            text_line(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be rendered, see the bridge's log")
        }
    }
}

/// A file that the page loads.
fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind)), NOSNIFF, NO_STORE, POLICY], text)
        .into_response()
}

/// Adds the answers to unknown paths and methods.
fn finish(router: Router) -> Router {
    let unknown_path = async |uri: Uri| text_line(StatusCode::NOT_FOUND, &not_found(uri.path()));
    let wrong_method =
        async |method: Method| text_line(StatusCode::METHOD_NOT_ALLOWED, &method_not_allowed(&method));
    router.fallback(unknown_path).method_not_allowed_fallback(wrong_method)
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;

    use super::*;
    use crate::{
        http::{
            app::{App, answer, call_app},
            shared::not_open_yet,
        },
        view::Rfc3339,
    };

    async fn get_page(path: &str) -> (u16, axum::http::HeaderMap, String) {
        get(path, admin_router).await
    }

    async fn get(
        path: &str,
        router: fn(Shared, ReadJiraHealth) -> Router,
    ) -> (u16, axum::http::HeaderMap, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let jira = || JiraHealthView::new(Trouble::None, "connected <as> bridge".into());
        answer(router(not_open_yet(), Arc::new(jira)), request).await
    }

    /// The listener that is published has the page and what it loads, and neither metrics nor API.
    #[tokio::test]
    async fn the_page_alone_can_be_published() {
        for path in ["/", "/page.css", "/refresh.js", "/healthz"] {
            assert_eq!(get(path, page_router).await.0, 200, "{path}");
        }
        for path in ["/metrics", "/api/gates", "/api/refused", "/api/unguarded", "/api/jira", "/event"] {
            assert_eq!(get(path, page_router).await.0, 404, "{path}");
        }
        let (_, headers, html) = get("/", page_router).await;
        assert!(headers.contains_key("content-security-policy"));
        assert!(!html.contains("href=\"api/") && !html.contains("href=\"metrics"), "{html}");
        assert!(get_page("/").await.2.contains("href=\"metrics\""));
    }

    /// A caller who does not read the answer keeps its place, so that many of them do not fill the memory. A page that waits
    /// for a place shows the time at which it is made.
    #[tokio::test]
    async fn a_page_keeps_its_place_until_it_was_sent() {
        let jira = || JiraHealthView::new(Trouble::None, String::new());
        let shared = not_open_yet();
        let app = App::new(page_router(shared.clone(), Arc::new(jira)));
        let page = async || call_app(&app, Request::get("/").body(Body::empty()).unwrap()).await;
        let mut unread = Vec::new();
        for _ in 0..PUBLIC_VIEWS {
            unread.push(page().await);
        }
        let mut next = Box::pin(page());
        assert!(futures_util::poll!(&mut next).is_pending());
        let read = axum::body::to_bytes(unread.pop().unwrap().into_body(), usize::MAX).await.unwrap();
        assert!(futures_util::poll!(&mut next).is_pending(), "it is not on its way yet");
        shared.clock.advance(Duration::from_secs(3600));
        drop(read);
        let html = axum::body::to_bytes(next.await.into_body(), usize::MAX).await.unwrap();
        let html = String::from_utf8(html.to_vec()).unwrap();
        let now = Rfc3339(shared.clock.now()).to_string();
        assert!(html.contains(&now), "{now} {html}");
    }

    #[tokio::test]
    async fn a_canary_s_address_says_why_there_is_no_ticket() {
        for (path, status, words) in [
            ("/go/shop/cart", 503, "The database is not open yet"),
            ("/go/shop/cart?cluster=a&cluster=b", 400, "This is not the address of a canary"),
            ("/go/shop/%ff", 400, "This is not the address of a canary"),
            ("/go/shop/%3Cb%3E", 503, "ticket shop&#x2f;&lt;b&gt; waits for"),
        ] {
            for router in [admin_router, page_router] {
                let (is, headers, html) = get(path, router).await;
                assert!(is == status && html.contains(words), "{path}: {is} {html}");
                assert!(headers.contains_key("content-security-policy"), "{path}");
            }
        }
        assert_eq!(get_page("/go/shop").await.0, 404);
    }

    #[tokio::test]
    async fn until_the_store_is_open_the_page_says_so() {
        let (status, headers, html) = get_page("/?page=%00&state=&q=&refresh=&more=1").await;
        assert_eq!(status, 200);
        assert!(html.contains("every gate is closed"), "{html}");
        assert!(html.contains("connected &lt;as&gt; bridge"), "{html}");
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(get_page("/api/gates").await.0, 503);
        assert_eq!(get_page("/readyz").await.0, 503);
        assert_eq!(get_page("/healthz").await.0, 200);
        assert_eq!(get_page("/gate/confirm-rollout").await.0, 404);
    }

    /// Every file that the page loads is served with the right type, and the page holds nothing that its policy
    /// forbids.
    #[tokio::test]
    async fn every_file_that_the_page_loads_is_served() {
        let (_, _, html) = get_page("/").await;
        for (asked, path, kind) in [
            ("<link rel=\"stylesheet\" href=\"page.css\">", "/page.css", "text/css; charset=utf-8"),
            ("<script src=\"refresh.js\" defer></script>", "/refresh.js", "text/javascript; charset=utf-8"),
        ] {
            assert!(html.contains(asked), "{html}");
            let (status, headers, text) = get_page(path).await;
            assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, kind));
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert!(text.len() > 500);
        }
        let scripts = html.matches("<script").count();
        assert!(scripts == 1 && !html.contains("<style") && !html.contains(" style="), "{html}");
    }

    #[tokio::test]
    async fn metrics_are_served_in_their_format() {
        let (status, headers, text) = get_page("/metrics").await;
        assert_eq!(status, 200);
        assert_eq!(headers["content-type"], CONTENT_TYPE);
        assert!(text.contains("flagger_jira_bridge_build_info{version=\""), "{text}");
    }
}

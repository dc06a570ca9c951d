//! Several clusters share one bridge: a token proves its cluster, and gives no access to another one.

use serde_json::{Value, json};

use crate::world::{Answer, World, log::Log, question};

const EU: &str = "token-of-eu-0123456789";
const US: &str = "token-of-us-0123456789";
const GENERAL: &str = "general-token-0123456789";

/// Two clusters with a token of their own, one without.
fn clusters() -> String {
    format!(
        "flagger.clusters = [{{ name = \"eu\", token = \"{EU}\" }}, {{ name = \"us\", token = \"{US}\" }}, \
         {{ name = \"asia\" }}]\n"
    )
}

/// How a caller sends its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenPlace {
    /// As Flagger sends `http://any:TOKEN@host/…`.
    Basic,
    Bearer,
    Metadata,
}

const WAYS: [TokenPlace; 3] = [TokenPlace::Basic, TokenPlace::Bearer, TokenPlace::Metadata];

impl World {
    async fn posts_with_token(&self, way: TokenPlace, token: &str, path: &str, mut body: Value) -> Answer {
        let request = self.gate("POST", path).header("content-type", "application/json");
        let request = match way {
            TokenPlace::Basic => request.basic_auth("any", Some(token)),
            TokenPlace::Bearer => request.bearer_auth(token),
            TokenPlace::Metadata => {
                body["metadata"]["token"] = token.into();
                request
            }
        };
        self.sends(request.body(body.to_string())).await
    }

    async fn asks_with(&self, token: &str, path: &str) -> Answer {
        self.posts_with_token(TokenPlace::Basic, token, path, question("Progressing", "new")).await
    }
}

const PROMOTION: &str = "/gate/confirm-promotion";

#[tokio::test]
async fn two_clusters_with_the_same_canary_have_nothing_in_common() {
    let (log, _guard) = Log::start();
    for world in World::both(&clusters()).await {
        for (nth, token) in [EU, US].into_iter().enumerate() {
            for way in WAYS {
                let answer =
                    world.posts_with_token(way, token, PROMOTION, question("Progressing", "new")).await;
                assert_eq!(answer.status, 403, "{way:?}: {}", answer.body);
                world.run_worker().await;
                assert_eq!(world.tickets().len(), nth + 1, "{way:?}");
            }
        }
        let [eu, us] = world.tickets().try_into().unwrap();
        assert_eq!(eu.summary, "Promote cart revision new (eu/shop) #1");
        assert_eq!(us.summary, "Promote cart revision new (us/shop) #1");

        world.decides(&eu.key, "Approved").await;
        for way in WAYS {
            let asked = question("Progressing", "new");
            assert_eq!(
                world.posts_with_token(way, EU, PROMOTION, asked.clone()).await.status,
                200,
                "{way:?}"
            );
            assert_eq!(world.posts_with_token(way, US, PROMOTION, asked).await.status, 403, "{way:?}");
        }
        world.decides(&us.key, "Rejected").await;
        assert_eq!(world.asks_with(US, "/gate/rollback").await.status, 200);
        assert_eq!(world.asks_with(EU, "/gate/rollback").await.status, 403);

        // The rollout of one cluster ends, the other's continues.
        world.posts_with_token(TokenPlace::Bearer, US, "/post-rollout", question("Failed", "new")).await;
        assert_eq!(world.asks_with(EU, PROMOTION).await.status, 200);
        let gates = world.gates().await;
        assert_eq!(gates.as_array().unwrap().len(), 1, "{gates}");
        assert_eq!(gates[0]["cluster"], "eu");

        let seen = format!("{:?} {:?} {gates}", world.jira.issues(), world.jira.requests());
        let page = world.sends(world.admin("GET", "/")).await.body;
        let stored = world.contents().await;
        let stored = stored.iter().filter(|(path, _)| !path.ends_with("config.toml"));
        let stored: Vec<_> = stored.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
        for token in [EU, US] {
            assert!(
                !seen.contains(token) && !page.contains(token) && !stored.join("").contains(token),
                "{token}"
            );
        }
        world.finish().await;
    }
    let log = log.text();
    assert!(!log.is_empty() && !log.contains(EU) && !log.contains(US));
}

/// A caller that names another cluster than its token's, or sends another cluster's token, achieves nothing.
#[tokio::test]
async fn no_cluster_speaks_for_another() {
    for world in World::both(&format!("flagger.token = \"{GENERAL}\"\n{}", clusters())).await {
        world.asks_with(EU, PROMOTION).await;
        world.run_worker().await;
        world.decides(&world.newest(), "Approved").await;
        assert_eq!(world.asks_with(EU, PROMOTION).await.status, 200);
        world.run_worker().await;
        let (turns, tickets) = (world.turns().await, world.tickets().len());

        let claims = |cluster: &str| {
            let mut body = question("Progressing", "new");
            body["metadata"] = json!({ "cluster": cluster });
            body
        };
        let at_eu = format!("{PROMOTION}?cluster=eu");
        for way in WAYS {
            for (token, path, body, status, words) in [
                (US, at_eu.as_str(), claims(""), 403, "closed: the token is not that of cluster \"eu\""),
                (US, PROMOTION, claims("eu"), 403, "closed: the token is not that of cluster \"eu\""),
                (
                    US,
                    "/gate/confirm-promotion?cluster=us",
                    claims("eu"),
                    403,
                    "closed: the token is not that of",
                ),
                (US, at_eu.as_str(), claims("us"), 403, "closed: the token is not that of cluster \"eu\""),
                (
                    EU,
                    PROMOTION,
                    claims("default"),
                    403,
                    "closed: the token is not that of cluster \"default\"",
                ),
                (GENERAL, at_eu.as_str(), claims(""), 401, "cluster \"eu\" has its own token"),
                (GENERAL, PROMOTION, claims("eu"), 401, "cluster \"eu\" has its own token"),
                (GENERAL, PROMOTION, claims("mars"), 403, "closed: cluster \"mars\" is not one of"),
                (&EU[1..], at_eu.as_str(), claims("eu"), 401, "the token is not valid"),
                (
                    US,
                    "/event?cluster=eu",
                    claims(""),
                    200,
                    "dropped: the token is not that of cluster \"eu\"",
                ),
                (US, "/post-rollout", claims("eu"), 200, "dropped: the token is not that of cluster \"eu\""),
                (GENERAL, "/post-rollout?cluster=eu", claims(""), 401, "cluster \"eu\" has its own token"),
            ] {
                let answer = world.posts_with_token(way, token, path, body.clone()).await;
                let asked = format!("{way:?} {token} {path} {body}");
                assert_eq!(answer.status, status, "{asked}: {}", answer.body);
                assert!(answer.body.starts_with(words), "{asked}: {}", answer.body);
            }
        }
        // With a wrong token in the header, a valid one in the metadata does not help; nor does the cluster's name
        // alone.
        let mut both = claims("eu");
        both["metadata"]["token"] = EU.into();
        assert_eq!(world.posts_with_token(TokenPlace::Bearer, US, PROMOTION, both).await.status, 403);
        for named in [claims("eu"), claims("asia"), claims("")] {
            assert_eq!(world.posts(PROMOTION, &named).await.status, 401, "{named}");
        }
        world.run_worker().await;
        assert_eq!(
            (world.turns().await, world.tickets().len()),
            (turns, tickets),
            "these requests changed nothing"
        );
        assert_eq!(world.asks_with(EU, PROMOTION).await.status, 200);

        // A caller with the general token may name a cluster that has no token; without a name it is flagger.cluster.
        for (path, body, cluster) in [
            ("/gate/confirm-promotion?cluster=asia", claims(""), "asia"),
            (PROMOTION, claims("asia"), "asia"),
            ("/gate/confirm-promotion?cluster=asia", claims("eu"), "asia"),
            (PROMOTION, claims(""), "default"),
        ] {
            assert_eq!(world.posts_with_token(TokenPlace::Bearer, GENERAL, path, body).await.status, 403);
            world.run_worker().await;
            assert!(world.tickets().last().unwrap().labels.contains(&format!("flagger-cluster-{cluster}")));
        }
        assert_eq!(world.tickets().len(), tickets + 2);
        world.finish().await;
    }
}

/// Without a general token, and once one cluster has a token, a cluster without one cannot use the bridge: its caller
/// would have to prove nothing. `check` reports it.
#[tokio::test]
async fn a_cluster_without_a_token_beside_others() {
    for world in World::both(&clusters()).await {
        for path in [PROMOTION, "/gate/confirm-promotion?cluster=asia"] {
            let answer = world.posts(path, &question("Progressing", "new")).await;
            assert!(answer.status == 401 && answer.body.starts_with("a token is needed"), "{}", answer.body);
        }
        let (_, out, _) = crate::world::program::run(&["check", "-c", &world.config()]);
        let line = |key: &str| out.lines().find(|line| line.contains(key)).unwrap_or_default().to_owned();
        let asia = line("flagger.clusters[2].token");
        assert!(asia.starts_with("FAIL  ") && asia.contains("no caller may ask as \"asia\""), "{out}");
        assert!(line("flagger.token").starts_with("ok  "), "{out}");
        assert!(!out.contains(EU) && !out.contains(US));
    }
}

//! Who may do what.

use serde_json::{Value, json};

use super::{CANARIES, Cluster, DEPLOYMENTS};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

fn message(answer: &Value) -> &str {
    answer["message"].as_str().unwrap()
}

#[tokio::test]
async fn a_wrong_token_is_unauthorized_and_no_token_is_anonymous() {
    let mut cluster = Cluster::start().await;
    cluster.token = "another".into();
    let (status, answer) = cluster.get(CANARIES).await;
    assert_eq!(status, 401);
    assert_eq!(
        answer,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
        })
    );
    cluster.api.set_token("another");
    assert_eq!(cluster.get(CANARIES).await.0, 200);
    cluster.token.clear();
    let (status, answer) = cluster.get(CANARIES).await;
    assert_eq!(status, 403);
    assert!(message(&answer).contains("User \"system:anonymous\" cannot list"), "{answer}");
}

#[tokio::test]
async fn what_is_not_granted_is_forbidden_in_the_real_words() {
    let cluster = Cluster::start().await;
    cluster.api.forbid("list", "deployments", None);
    cluster.api.forbid("get", "deployments", None);
    let (status, answer) = cluster.get(DEPLOYMENTS).await;
    assert_eq!((status, &answer["reason"]), (403, &json!("Forbidden")));
    assert_eq!(
        message(&answer),
        "deployments.apps is forbidden: User \"system:serviceaccount:flagger:bridge\" cannot list resource \
         \"deployments\" in API group \"apps\" at the cluster scope"
    );
    assert_eq!(answer["details"], json!({ "group": "apps", "kind": "deployments" }));
    let (_, answer) = cluster.get("/apis/apps/v1/namespaces/prod/deployments/podinfo").await;
    assert_eq!(
        message(&answer),
        "deployments.apps \"podinfo\" is forbidden: User \"system:serviceaccount:flagger:bridge\" cannot get \
         resource \"deployments\" in API group \"apps\" in the namespace \"prod\""
    );
    let (_, answer) = cluster.get("/api/v1/configmaps?watch=true").await;
    assert_eq!(
        message(&answer),
        "configmaps is forbidden: User \"system:serviceaccount:flagger:bridge\" cannot watch resource \
         \"configmaps\" in API group \"\" at the cluster scope"
    );
    assert!(cluster.api.complaints().is_empty(), "{:?}", cluster.api.complaints());
}

#[tokio::test]
async fn rights_can_be_those_of_some_namespaces() {
    let cluster = Cluster::start().await;
    let list = async |namespace: &str| {
        cluster.get(&format!("/apis/apps/v1/namespaces/{namespace}/deployments")).await.0
    };
    cluster.api.forbid("list", "deployments", Some("prod"));
    assert_eq!((list("prod").await, list("dev").await, cluster.get(DEPLOYMENTS).await.0), (403, 200, 403));
    cluster.api.forbid("list", "deployments", None);
    cluster.api.allow("list", "deployments", Some("prod"));
    assert_eq!((list("prod").await, list("dev").await, cluster.get(DEPLOYMENTS).await.0), (200, 403, 403));
    cluster.api.forbid("list", "deployments", Some("prod"));
    assert_eq!(list("prod").await, 403);
    cluster.api.allow("list", "deployments", None);
    assert_eq!((list("prod").await, list("dev").await, cluster.get(DEPLOYMENTS).await.0), (200, 200, 200));
}

#[tokio::test]
async fn a_review_answers_what_the_rights_are() {
    let cluster = Cluster::start().await;
    let ask = async |attributes: Value| {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
            "spec": { "resourceAttributes": attributes },
        });
        let (status, answer) = cluster.post(REVIEWS, review).await;
        assert_eq!(status, 201, "{answer}");
        answer["status"]["allowed"].as_bool().unwrap()
    };
    let watch = json!({ "verb": "watch", "group": "flagger.app", "resource": "canaries" });
    assert!(ask(watch.clone()).await);
    assert!(
        ask(json!({ "verb": "create", "group": "events.k8s.io", "resource": "events", "namespace": "a" }))
            .await
    );
    assert!(!ask(json!({ "verb": "create", "group": "", "resource": "events" })).await);
    assert!(!ask(json!({ "verb": "*", "group": "apps", "resource": "deployments" })).await);
    assert!(!ask(json!({ "verb": "get", "group": "", "resource": "secrets" })).await);
    cluster.api.forbid("watch", "canaries", None);
    assert!(!ask(watch).await);
    let empty = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {},
    });
    assert_eq!(cluster.post(REVIEWS, empty).await.0, 422);
}

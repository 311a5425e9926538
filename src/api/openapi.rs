//! The OpenAPI document, made of [`ROUTES`]: what is in the one is in the other.

use std::collections::BTreeMap;

use super::routes::{ROUTES, Route, parts, placeholder};
use super::view::{object, text, with};
use crate::dag::Value;
use crate::dag::map_of;

/// OpenAPI 3.1 of all that is served.
pub(super) fn document() -> Value {
    let mut paths: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for route in ROUTES {
        let methods = paths.entry(route.pattern.to_owned()).or_default();
        methods.insert(route.method.to_ascii_lowercase(), operation(route));
    }
    let paths = paths
        .into_iter()
        .map(|(path, methods)| (path, Value::Object(methods)));
    let scheme = |scheme: &str| object([("type", text("http")), ("scheme", text(scheme))]);
    let schemes = object([("bearer", scheme("bearer")), ("basic", scheme("basic"))]);
    let about = "The part of Airflow 3's API that mini-dag serves, and its own additions below /mini-dag/v1. \
         Fields are those of Airflow's schemas of the same operationId.";
    object([
        ("openapi", text("3.1.0")),
        (
            "info",
            object([
                ("title", text("mini-dag")),
                ("version", text(env!("CARGO_PKG_VERSION"))),
                ("description", text(about)),
            ]),
        ),
        ("paths", Value::Object(map_of(paths))),
        ("components", object([("securitySchemes", schemes)])),
    ])
}

fn operation(route: &Route) -> Value {
    let described = |what: &str| object([("description", text(what))]);
    let placeholders = || parts(route.pattern).filter_map(placeholder);
    let in_path = placeholders().map(|name| parameter(name, "path"));
    let in_query = route.query.iter().map(|name| parameter(name, "query"));
    let parameters = in_path.chain(in_query).collect();
    let success = if route.method == "DELETE" {
        "204"
    } else if route.pattern.starts_with("/auth/") {
        "201"
    } else {
        "200"
    };
    let mut responses = BTreeMap::new();
    let mut answers = vec![(success, "what was asked for")];
    if route.role.is_some() {
        answers.extend([("401", "not authenticated"), ("403", "the role is too low")]);
    }
    if placeholders().next().is_some() {
        answers.push(("404", "there is no such thing"));
    }
    if route.method == "POST" || route.method == "PATCH" {
        answers.extend([
            ("409", "it is not in a state for this"),
            ("422", "something in the body is wrong"),
        ]);
    }
    for (status, what) in answers {
        responses.insert(status.to_owned(), described(what));
    }
    let security = |name| object([(name, Value::Array(Vec::new()))]);
    let security = match route.role {
        Some(_) => vec![security("bearer"), security("basic")],
        None => Vec::new(),
    };
    let operation = object([
        ("operationId", text(route.name)),
        ("parameters", Value::Array(parameters)),
        ("responses", Value::Object(responses)),
        ("security", Value::Array(security)),
    ]);
    if route.method != "POST" && route.method != "PATCH" {
        return operation;
    }
    let schema = object([("schema", object([("type", text("object"))]))]);
    let content = object([("content", object([("application/json", schema)]))]);
    with(operation, [("requestBody", content)])
}

fn parameter(name: &str, place: &str) -> Value {
    object([
        ("name", text(name)),
        ("in", text(place)),
        ("required", Value::Bool(place == "path")),
        ("schema", object([("type", text("string"))])),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_and_the_routes_agree() {
        let document = document();
        let paths = document.get("paths").and_then(Value::as_object).unwrap();
        let mut documented = Vec::new();
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().unwrap() {
                let name = operation
                    .get("operationId")
                    .and_then(Value::as_str)
                    .unwrap();
                documented.push((path.clone(), method.to_ascii_uppercase(), name.to_owned()));
            }
        }
        let served = ROUTES.iter().map(|route| {
            let (pattern, method, name) = (route.pattern, route.method, route.name);
            (pattern.to_owned(), method.to_owned(), name.to_owned())
        });
        let mut served: Vec<_> = served.collect();
        served.sort();
        assert_eq!(documented, served);
        let mut names: Vec<_> = served.iter().map(|(_, _, name)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), served.len(), "a name comes twice");
    }
}

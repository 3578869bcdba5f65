//! The `OpenAPI` document, from the handlers.

mod refine;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use self::refine::Refine;
use super::{
    attach, by_name, events, execs, files, images, ports, processes, run, service, sessions, stats,
    terminals, tickets,
};

/// The document. The test below holds it against the route table.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shellport",
        description = "A shell in a container of your own, from any browser or curl.",
        license(name = "Apache-2.0 OR MIT"),
    ),
    servers((url = "/")),
    security(("token" = [])),
    modifiers(&Token, &Refine),
    components(schemas(sessions::Wait)),
    paths(
        service::info,
        images::list,
        images::add,
        images::get,
        images::remove,
        images::prune,
        sessions::list,
        sessions::create,
        by_name::put,
        sessions::get,
        sessions::change,
        sessions::delete,
        sessions::stop,
        sessions::start,
        terminals::list,
        terminals::open,
        terminals::get,
        terminals::resize,
        terminals::close,
        terminals::screen::screen,
        terminals::input::give,
        terminals::wait::wait,
        terminals::commands::list,
        terminals::output::read,
        tickets::create,
        attach::attach,
        run::run,
        execs::list,
        execs::run,
        execs::put,
        execs::one::get,
        execs::one::delete,
        execs::output::read,
        execs::stdin::give,
        execs::one::signal,
        execs::one::stop,
        execs::attach::attach,
        ports::list,
        ports::ticket,
        ports::tunnel::tunnel,
        processes::list,
        processes::signal,
        stats::stats,
        events::all,
        events::of_session,
        files::read::read,
        files::write::write,
        files::write::act,
        files::write::change,
        files::write::remove,
    ),
)]
pub struct Document;

/// The description of this API.
pub async fn document() -> Response {
    let json = Document::openapi().to_json();
    let text = json.unwrap_or_else(|error| unreachable!("the document is plain data: {error}"));
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        if let Some(components) = &mut document.components {
            components.add_security_scheme("token", SecurityScheme::Http(bearer));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The document that is in the repository, from which the front end's types are made.
    const WRITTEN: &str = include_str!("../../../../../docs/openapi.json");

    #[test]
    fn the_written_document_is_this_one() {
        let ours: serde_json::Value = serde_json::to_value(Document::openapi()).unwrap();
        let written: serde_json::Value = serde_json::from_str(WRITTEN).unwrap();
        assert_eq!(ours, written, "`make openapi` writes it anew");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap().values();
        let operations = paths.flat_map(|path| path.as_object().unwrap().values());
        let names: Vec<_> = operations
            .map(|it| it["operationId"].as_str().unwrap())
            .collect();
        let different: BTreeSet<_> = names.iter().collect();
        assert!(names.len() > 40);
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = serde_json::to_value(Document::openapi()).unwrap();
        let text = document.to_string();
        let prefix = "\"#/components/schemas/";
        for reference in text.split(prefix).skip(1) {
            let name = reference.split('"').next().unwrap();
            let schema = &document["components"]["schemas"][name];
            assert!(schema.is_object(), "{name} is not described");
        }
        assert!(text.contains(prefix));
    }

    #[test]
    fn every_route_is_described() {
        let routes: BTreeSet<String> = include_str!("../mod.rs")
            .split(".route(")
            .skip(1)
            .filter_map(|route| route.trim_start().strip_prefix('"')?.split('"').next())
            .filter(|path| {
                // The document itself, what watches over the server, and the page.
                let own = ["/openapi.json", "/healthz", "/readyz", "/metrics"];
                let page = ["/", "/assets/{*path}", "/icon.svg"];
                // The root directory, whose path is empty.
                let root = ["/sessions/{id}/files", "/sessions/{id}/files/"];
                ![&own[..], &page, &root].concat().contains(path)
            })
            // A name with slashes is a name.
            .map(|path| path.replace("{*", "{"))
            .collect();
        let document = Document::openapi();
        let described = document.paths.paths.keys();
        let described = described.map(|path| path.strip_prefix("/api/v1").unwrap().to_owned());
        assert_eq!(routes, described.collect());
    }
}

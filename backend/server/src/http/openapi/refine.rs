//! What the handlers cannot say of themselves in the document.

use utoipa::Modify;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{Components, Content, OpenApi, RefOr, Required};

/// Media types whose content is bytes, and no JSON.
const BYTES: [&str; 2] = ["application/octet-stream", "application/x-tar"];

/// Names each operation, says which bodies may be left out, and what is bytes.
pub struct Refine;

impl Modify for Refine {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.clone().unwrap_or_default();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                operation.operation_id = Some(name(method, path));
                parameters_are_given_or_not(operation);
                if let Some(RefOr::T(body)) = &mut operation.request_body {
                    body.required = Some(needed(body, &components));
                }
                bytes_are_bytes(operation);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A name that no other operation has: two handlers may be called the same.
fn name(method: &str, path: &str) -> String {
    let parts = path.trim_start_matches("/api/v1/").split(['/', '-']);
    let parts = parts.map(|part| part.trim_matches(['{', '}']));
    let parts = parts.filter(|part| !part.is_empty());
    std::iter::once(method)
        .chain(parts)
        .collect::<Vec<_>>()
        .join("_")
}

/// A parameter that may be left out cannot be null.
fn parameters_are_given_or_not(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else {
            continue;
        };
        if let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
            && let SchemaType::Array(types) = &mut object.schema_type
        {
            types.retain(|it| *it != Type::Null);
            if let [only] = types.as_slice() {
                object.schema_type = SchemaType::Type(only.clone());
            }
        }
        let nullable = match &parameter.schema {
            Some(RefOr::T(Schema::OneOf(one))) => one
                .items
                .iter()
                .find(|it| matches!(it, RefOr::Ref(_)))
                .cloned(),
            _ => None,
        };
        if nullable.is_some() {
            parameter.schema = nullable;
        }
    }
}

/// No body is `{}`, or no bytes.
fn needed(body: &RequestBody, components: &Components) -> Required {
    let needs = body.content.values().any(|content| {
        let RefOr::T(content) = content else {
            return true;
        };
        match &content.schema {
            Some(RefOr::Ref(to)) => {
                let name = to.ref_location.rsplit('/').next().unwrap_or_default();
                match components.schemas.get(name) {
                    Some(RefOr::T(Schema::Object(object))) => !object.required.is_empty(),
                    _ => true,
                }
            }
            _ => false,
        }
    });
    if needs {
        Required::True
    } else {
        Required::False
    }
}

fn bytes_are_bytes(operation: &mut Operation) {
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        body.content.iter_mut().for_each(describe_bytes);
    }
    for answer in operation.responses.responses.values_mut() {
        if let RefOr::T(answer) = answer {
            answer.content.iter_mut().for_each(describe_bytes);
        }
    }
}

fn describe_bytes((kind, content): (&String, &mut RefOr<Content>)) {
    if let RefOr::T(content) = content
        && BYTES.contains(&kind.as_str())
    {
        let mut bytes = Object::with_type(Type::String);
        bytes.content_media_type.clone_from(kind);
        content.schema = Some(RefOr::T(Schema::Object(bytes)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_by_method_and_path() {
        assert_eq!(
            name("get", "/api/v1/sessions/{id}/execs/{exec}"),
            "get_sessions_id_execs_exec"
        );
        assert_eq!(
            name("put", "/api/v1/sessions/by-name/{name}"),
            "put_sessions_by_name_name"
        );
        assert_eq!(name("post", "/api/v1/images/-/prune"), "post_images_prune");
    }
}

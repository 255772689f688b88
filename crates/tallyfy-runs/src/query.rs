//! The parameters of a request, from the options of a use case.

use tallyfy_transport::{ErrorKind, Request, TransportError};

/// Adds those that have a value, then those that this crate does not know, then what to fetch too.
///
/// An empty value is refused: the server takes it for none, and lists what nobody asked for.
pub(crate) fn query<const N: usize>(
    mut request: Request,
    parameters: [(&str, Option<String>); N],
    other: &[(String, String)],
    includes: &[impl AsRef<str>],
) -> Result<Request, TransportError> {
    for (name, value) in parameters {
        match value {
            Some(value) if value.is_empty() => {
                let error = TransportError::new(ErrorKind::InvalidRequest, request.method().clone(), request.path());
                return Err(error.with_detail(format!("the filter `{name}` is empty")));
            }
            Some(value) => request = request.query(name, value),
            None => {}
        }
    }
    for (name, value) in other {
        request = request.query(name, value);
    }
    Ok(with(request, includes))
}

/// Adds the parameter that says what to fetch too.
pub(crate) fn with(request: Request, includes: &[impl AsRef<str>]) -> Request {
    match list(includes) {
        Some(includes) => request.query("with", includes),
        None => request,
    }
}

/// The value of a parameter that takes several.
pub(crate) fn list(values: &[impl AsRef<str>]) -> Option<String> {
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The value of a parameter that takes one.
pub(crate) fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// The value of a parameter that is there or not.
pub(crate) fn flag(set: bool) -> Option<String> {
    set.then(|| "true".to_owned())
}

/// What a setter was given, as the options keep it.
pub(crate) fn all<T>(values: impl IntoIterator<Item = impl Into<T>>) -> Vec<T> {
    values.into_iter().map(Into::into).collect()
}

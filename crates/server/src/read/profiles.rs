//! Profiles, in the format of the vendor's query API.

mod selection;
pub(crate) mod sessions;

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use idmerge_project::{Project, ProjectError};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use self::selection::Selection;
use self::sessions::{PAGE_PROFILES, PagePlace, Session};
use super::chunks::{CHUNK_BYTES, Chunks, Sent, Source, stream};
use super::query::{Parameters, Reader};
use crate::http::api_error::ApiError;
use crate::http::body::ReadBody;
use crate::http::parameters::{self, filter, strings};

/// The most IDs of a query.
const MAX_IDS: usize = 2_000;

/// The most profiles that a run reads without sending any.
const RUN_PROFILES: u32 = 1 << 14;

/// The highest page number. A project cannot have that many profiles.
const MAX_PAGE: u32 = 1_000_000;

/// The profiles to return: those of some IDs, or a page of all.
#[derive(Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProfilesParameters {
    /// An ID of the user whose profile to return.
    distinct_id: Option<String>,
    /// IDs of the users whose profiles to return, as a JSON array of strings.
    distinct_ids: Option<String>,
    /// The properties to return, as a JSON array of names. All by default.
    output_properties: Option<String>,
    /// The number of the page, from 0.
    #[param(maximum = 1_000_000)]
    #[schema(maximum = 1_000_000)]
    page: Option<u32>,
    /// `session_id` of the first page. With it the pages do not move if profiles are added meanwhile.
    session_id: Option<String>,
    /// Selects profiles by an expression about their properties, such as
    /// `properties["plan"] == "pro" and defined(properties["$email"])`. It has `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`,
    /// `and`, `or`, `not`, `defined` and parentheses; no arithmetic and no casts.
    r#where: Option<String>,
    /// Returns the profiles of groups instead of those of users: the `$group_key` of the groups, such as `company`. The
    /// IDs are those of groups then.
    data_group_id: Option<String>,
    /// Not supported.
    filter_by_cohort: Option<String>,
}

/// A page of profiles.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "it describes a response that is written piece by piece"
)]
pub(crate) struct ProfilesResponse {
    page: u32,
    page_size: usize,
    session_id: String,
    status: &'static str,
    results: Vec<ListedProfile>,
    /// The number of profiles on all pages.
    total: u64,
}

/// One profile.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "it describes a response that is written piece by piece"
)]
pub(crate) struct ListedProfile {
    /// The canonical ID of the user.
    #[schema(rename = "$distinct_id")]
    distinct_id: String,
    /// The properties of the profile.
    #[schema(rename = "$properties", value_type = Object)]
    properties: String,
}

/// List profiles
#[utoipa::path(
    get,
    path = "/api/query/engage",
    params(ProfilesParameters),
    responses(
        (status = 200, body = ProfilesResponse),
        (status = 400, description = "A parameter is wrong or not supported", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running or too many exports are open; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn by_query(
    reader: Reader,
    Parameters(parameters): Parameters<ProfilesParameters>,
) -> Result<Response, ApiError> {
    profiles(reader, parameters).await
}

/// List profiles, with the parameters in a form
#[utoipa::path(
    post,
    path = "/api/query/engage",
    request_body(content = ProfilesParameters, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = ProfilesResponse),
        (status = 400, description = "A parameter is wrong or not supported", body = ApiError),
        (status = 401, description = "The credential is missing or wrong", body = ApiError),
        (status = 429, description = "Too many queries are running or too many exports are open; try again after Retry-After", body = ApiError),
    ),
)]
pub(crate) async fn by_form(
    reader: Reader,
    headers: HeaderMap,
    body: ReadBody,
) -> Result<Response, ApiError> {
    const FORM: &str = "application/x-www-form-urlencoded";
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.trim_start().starts_with(FORM)) {
        return Err(ApiError::bad_request(format!(
            "the body must be a form, with Content-Type {FORM}; or send a GET with the parameters in the URL"
        )));
    }
    let text = str::from_utf8(&body.bytes)
        .map_err(|_| ApiError::bad_request("the form is not UTF-8; percent-encode its values"))?;
    let parameters = parameters::read(text)?;
    profiles(reader, parameters).await
}

async fn profiles(reader: Reader, parameters: ProfilesParameters) -> Result<Response, ApiError> {
    let is_set = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if is_set(&parameters.filter_by_cohort) {
        let error = "filter_by_cohort is not supported; give where, or get all profiles and filter them yourself";
        return Err(ApiError::bad_request(error));
    }
    let selection = Selection {
        group_key: parameters.data_group_id.filter(|key| !key.is_empty()),
        filter: filter(parameters.r#where.as_deref())?,
    };
    let wanted = strings("output_properties", parameters.output_properties.as_deref())?;
    let mut ids = strings("distinct_ids", parameters.distinct_ids.as_deref())?;
    if let Some(id) = parameters.distinct_id {
        ids.get_or_insert_default().push(id);
    }
    if ids.as_ref().is_some_and(|ids| ids.len() > MAX_IDS) {
        return Err(ApiError::bad_request(format!(
            "a query has at most {MAX_IDS} IDs; send several queries"
        )));
    }
    let page = parameters.page.unwrap_or(0);
    if page > MAX_PAGE {
        return Err(ApiError::bad_request(format!("page is at most {MAX_PAGE}")));
    }
    let session = reader.profile_session(parameters.session_id.as_deref());
    let id = session.id.clone();
    let is_page = ids.is_none();
    let (left, total) = match ids {
        Some(ids) => (Left::Ids(ids.into_iter()), None),
        None if selection.has_all_users() => {
            let of_page = session.clone();
            let find = move |project: &Project| of_page.place(project, page as usize);
            (left_of(session, reader.run(find).await?), None)
        }
        None => {
            let (place, total) = selected_place(&reader, &session, &selection, page).await?;
            (left_of(session, place), Some(total))
        }
    };
    let results = Results {
        selection,
        total,
        ..Results::new(page, &id, is_page, left, wanted)
    };
    let body = stream(reader, results)?;
    let json = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, json)], body).into_response())
}

/// A page of selected profiles, and how many are selected. Few requests read all profiles at a time.
async fn selected_place(
    reader: &Reader,
    session: &Session,
    selection: &Selection,
    page: u32,
) -> Result<(Option<PagePlace>, u64), ApiError> {
    let permit = reader.funnel().await?;
    let (session, selection) = (session.clone(), selection.clone());
    let found = reader.run_while(move |project, may_go_on| {
        // Held by the thread: the client may go away before the end.
        let _permit = permit;
        session.selected_place(project, &selection, page as usize, &*may_go_on)
    });
    found.await
}

fn left_of(session: Session, place: Option<PagePlace>) -> Left {
    place.map_or(Left::Nothing, |place| Left::Page(session, place))
}

/// The response, made with one profile in memory at a time.
struct Results {
    selection: Selection,
    /// The number of profiles on all pages, if it is known from the start.
    total: Option<u64>,
    page: usize,
    /// Whether this is a page of all profiles, and not the profiles of some IDs.
    is_page: bool,
    left: Left,
    /// The properties to write; all if `None`.
    wanted: Option<Vec<String>>,
    /// The profiles that were written for some IDs.
    seen: BTreeSet<String>,
    count: u64,
    /// What is to be sent.
    text: Vec<u8>,
    is_complete: bool,
}

/// What is left to write.
enum Left {
    Ids(std::vec::IntoIter<String>),
    Page(Session, PagePlace),
    Nothing,
}

impl Results {
    fn new(
        page: u32,
        session_id: &str,
        is_page: bool,
        left: Left,
        wanted: Option<Vec<String>>,
    ) -> Self {
        let session_id = serde_json::to_string(session_id).unwrap_or_default();
        let head = format!(
            r#"{{"page":{page},"page_size":{PAGE_PROFILES},"session_id":{session_id},"status":"ok","results":["#
        );
        Self {
            selection: Selection::default(),
            total: None,
            page: page as usize,
            is_page,
            left,
            wanted,
            seen: BTreeSet::new(),
            count: 0,
            text: head.into_bytes(),
            is_complete: false,
        }
    }

    /// Sends what was written, if it has at least this many bytes.
    fn flush(&mut self, min_bytes: usize, chunks: &mut Chunks) -> Sent {
        if self.text.len() < min_bytes {
            return Sent::All;
        }
        chunks.send(Bytes::from(std::mem::take(&mut self.text)))
    }

    /// The profile of each user that has one of the IDs. A user with several of them occurs once.
    fn by_ids(
        &mut self,
        mut ids: std::vec::IntoIter<String>,
        project: &Project,
        chunks: &mut Chunks,
    ) -> Result<Sent, ProjectError> {
        let mut sent = Sent::All;
        let selection = self.selection.clone();
        while sent == Sent::All
            && let Some(id) = ids.next()
        {
            selection.visit(project, &id, &mut |distinct_id, json| {
                if selection.selects(json) && self.seen.insert(distinct_id.to_owned()) {
                    self.write(distinct_id, json);
                    sent = self.flush(CHUNK_BYTES, chunks);
                }
            })?;
        }
        self.left = Left::Ids(ids);
        Ok(sent)
    }

    fn by_page(
        &mut self,
        session: Session,
        mut place: PagePlace,
        project: &Project,
        chunks: &mut Chunks,
    ) -> Result<Sent, ProjectError> {
        let mut sent = Sent::All;
        let mut last = None;
        let mut read = 0;
        let selection = self.selection.clone();
        selection.each_of_kind(project, place.after.take().as_deref(), &mut |id, json| {
            if place.until.as_deref().is_some_and(|until| id > until) {
                return Ok(false);
            }
            last = Some(id.to_owned());
            read += 1;
            if selection.selects(json) {
                self.write(id, json);
                sent = self.flush(CHUNK_BYTES, chunks);
            } else if read >= RUN_PROFILES {
                sent = Sent::Part;
            }
            let is_full = place.until.is_none() && self.count == PAGE_PROFILES as u64;
            Ok(sent == Sent::All && !is_full)
        })?;
        if selection.has_all_users()
            && place.until.is_none()
            && self.count == PAGE_PROFILES as u64
            && let Some(last) = &last
        {
            session.sent(self.page, last.clone());
            place.until = Some(last.clone());
        }
        place.after = last;
        self.left = match sent {
            Sent::All => Left::Nothing,
            Sent::Part | Sent::AllForNow => Left::Page(session, place),
        };
        Ok(sent)
    }

    fn write(&mut self, distinct_id: &str, json: &str) {
        if self.count > 0 {
            self.text.push(b',');
        }
        self.count += 1;
        // Writing to memory does not fail.
        self.text.extend_from_slice(br#"{"$distinct_id":"#);
        let _written = serde_json::to_writer(&mut self.text, distinct_id);
        self.text.extend_from_slice(br#","$properties":"#);
        match &self.wanted {
            None => self.text.extend_from_slice(json.as_bytes()),
            Some(wanted) => {
                let mut some: BTreeMap<String, &RawValue> =
                    serde_json::from_str(json).unwrap_or_default();
                some.retain(|name, _| wanted.contains(name));
                let _written = serde_json::to_writer(&mut self.text, &some);
            }
        }
        self.text.push(b'}');
    }
}

impl Source for Results {
    fn send(&mut self, project: &Project, chunks: &mut Chunks) -> Result<Sent, ProjectError> {
        if self.is_complete {
            return Ok(Sent::All);
        }
        let sent = match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Ids(ids) => self.by_ids(ids, project, chunks)?,
            Left::Page(session, place) => self.by_page(session, place, project, chunks)?,
            Left::Nothing => Sent::All,
        };
        if sent == Sent::Part {
            return Ok(sent);
        }
        let total = match (self.total, self.is_page) {
            (Some(total), _) => total,
            (None, true) => project.count_profiles()?,
            (None, false) => self.count,
        };
        let end = format!(r#"],"total":{total}}}"#);
        self.text.extend_from_slice(end.as_bytes());
        self.is_complete = true;
        Ok(self.flush(1, chunks))
    }
}

//! Arrow's C stream interface, in the capsules of Arrow's PyCapsule interface. All unsafe code of the package is here.

use std::ffi::CStr;

use arrow_array::RecordBatchReader;
use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_schema::Schema;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors::broken_stream;

/// The names that the interface gives to capsules.
const STREAM: &CStr = c"arrow_array_stream";
const SCHEMA: &CStr = c"arrow_schema";

/// Takes the stream out of the capsule that `__arrow_c_stream__` gives.
#[expect(
    unsafe_code,
    reason = "a capsule is a pointer; the interface says by its name what it points to"
)]
pub(crate) fn take_stream(source: &Bound<'_, PyAny>) -> PyResult<FFI_ArrowArrayStream> {
    let capsule = source.call_method0("__arrow_c_stream__")?;
    let capsule = capsule.cast_into::<PyCapsule>()?;
    let stream = capsule.pointer_checked(Some(STREAM))?;
    // SAFETY: The name of the capsule was checked, and by the PyCapsule interface a capsule of this name points to an
    // `ArrowArrayStream` that was initialised. It lives as long as the capsule, which is held here. The GIL is held, so no
    // other thread uses it meanwhile. An empty stream is left in the capsule, and the destructor does nothing to that.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(stream.cast().as_ptr()) };
    Ok(stream)
}

/// A capsule with a stream. Its destructor releases the stream, unless a consumer has moved it out.
pub(crate) fn of_stream<'py>(
    py: Python<'py>,
    reader: Box<dyn RecordBatchReader + Send>,
) -> PyResult<Bound<'py, PyCapsule>> {
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), STREAM)
}

/// A capsule with a schema.
pub(crate) fn of_schema<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(|error| broken_stream(&error))?;
    PyCapsule::new_with_value(py, schema, SCHEMA)
}

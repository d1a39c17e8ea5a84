//! Values without parts as JSON.

use std::io::Write as _;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, ArrowTimestampType, Date32Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, DecimalType, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, TimeUnit};
use idmerge_events::write_json_string;
use uuid::Uuid;

/// Writes the value of a row, which is not null, or `null` if JSON has no such value.
pub(super) type WriteValue = fn(&dyn Array, usize, &mut Vec<u8>);

/// How values of this type are written: as `null` if JSON has no form for them.
pub(super) fn writer_of(kind: &DataType) -> WriteValue {
    match kind {
        DataType::Boolean => |array, row, out| {
            let text: &[u8] = if array.as_boolean().value(row) {
                b"true"
            } else {
                b"false"
            };
            out.extend_from_slice(text);
        },
        DataType::Int8 => write_integer::<Int8Type>,
        DataType::Int16 => write_integer::<Int16Type>,
        DataType::Int32 => write_integer::<Int32Type>,
        DataType::Int64 => write_integer::<Int64Type>,
        DataType::UInt8 => write_integer::<UInt8Type>,
        DataType::UInt16 => write_integer::<UInt16Type>,
        DataType::UInt32 => write_integer::<UInt32Type>,
        DataType::UInt64 => write_integer::<UInt64Type>,
        DataType::Float16 => |array, row, out| {
            write_float(
                f64::from(array.as_primitive::<Float16Type>().value(row)),
                out,
            );
        },
        DataType::Float32 => {
            |array, row, out| write_float(array.as_primitive::<Float32Type>().value(row), out)
        }
        DataType::Float64 => {
            |array, row, out| write_float(array.as_primitive::<Float64Type>().value(row), out)
        }
        DataType::Decimal32(..) => write_decimal::<Decimal32Type>,
        DataType::Decimal64(..) => write_decimal::<Decimal64Type>,
        DataType::Decimal128(..) => write_decimal::<Decimal128Type>,
        DataType::Decimal256(..) => write_decimal::<Decimal256Type>,
        DataType::FixedSizeBinary(16) => write_uuid,
        DataType::FixedSizeBinary(_) => {
            |array, row, out| write_bytes(array.as_fixed_size_binary().value(row), out)
        }
        kind => writer_of_time(kind),
    }
}

fn writer_of_time(kind: &DataType) -> WriteValue {
    match kind {
        DataType::Timestamp(TimeUnit::Second, _) => write_timestamp::<TimestampSecondType>,
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            write_timestamp::<TimestampMillisecondType>
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            write_timestamp::<TimestampMicrosecondType>
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => write_timestamp::<TimestampNanosecondType>,
        DataType::Date32 => |array, row, out| {
            let days = i64::from(array.as_primitive::<Date32Type>().value(row));
            match jiff::Timestamp::from_second(days.saturating_mul(86_400)) {
                Ok(day) => write_quoted(format_args!("{}", day.strftime("%Y-%m-%d")), out),
                Err(_) => write_displayed(format_args!("{days}"), out),
            }
        },
        DataType::Time32(TimeUnit::Millisecond) => |array, row, out| {
            let ms = i64::from(array.as_primitive::<Time32MillisecondType>().value(row));
            write_time(ms.saturating_mul(1_000_000), out);
        },
        DataType::Time64(TimeUnit::Microsecond) => |array, row, out| {
            let us = array.as_primitive::<Time64MicrosecondType>().value(row);
            write_time(us.saturating_mul(1000), out);
        },
        DataType::Time64(TimeUnit::Nanosecond) => |array, row, out| {
            write_time(array.as_primitive::<Time64NanosecondType>().value(row), out);
        },
        _ => write_null,
    }
}

pub(super) fn write_null(_: &dyn Array, _: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

fn write_displayed(text: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _infallible = out.write_fmt(text);
}

/// A text that needs no escapes.
fn write_quoted(text: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    write_displayed(text, out);
    out.push(b'"');
}

fn write_integer<T: ArrowPrimitiveType<Native: std::fmt::Display>>(
    array: &dyn Array,
    row: usize,
    out: &mut Vec<u8>,
) {
    write_displayed(
        format_args!("{}", array.as_primitive::<T>().value(row)),
        out,
    );
}

/// A float keeps its point, so that it is never taken for an integer. JSON has no infinity.
fn write_float(value: impl Into<f64> + Copy + std::fmt::Debug, out: &mut Vec<u8>) {
    match value.into().is_finite() {
        true => write_displayed(format_args!("{value:?}"), out),
        false => out.extend_from_slice(b"null"),
    }
}

fn write_decimal<T: DecimalType>(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    let text = array.as_primitive::<T>().value_as_string(row);
    out.extend_from_slice(text.as_bytes());
}

fn write_timestamp<T: ArrowTimestampType>(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    let value = array.as_primitive::<T>().value(row);
    let time = i128::from(value) * nanoseconds(T::UNIT);
    let Ok(time) = jiff::Timestamp::from_nanosecond(time) else {
        write_displayed(format_args!("{value}"), out);
        return;
    };
    out.push(b'"');
    write_displayed(format_args!("{time}"), out);
    let has_zone = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
    if !has_zone && out.last() == Some(&b'Z') {
        out.pop();
    }
    out.push(b'"');
}

/// The milliseconds since 1970 of a time.
pub(super) fn milliseconds(array: &dyn Array, row: usize) -> Option<i64> {
    let DataType::Timestamp(unit, _) = array.data_type() else {
        return None;
    };
    let value = match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row),
    };
    i64::try_from((i128::from(value) * nanoseconds(*unit)).div_euclid(1_000_000)).ok()
}

fn nanoseconds(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

fn write_time(nanoseconds: i64, out: &mut Vec<u8>) {
    match jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)) {
        Ok(time) => write_quoted(format_args!("{}", time.strftime("%H:%M:%S%.f")), out),
        Err(_) => out.extend_from_slice(b"null"),
    }
}

/// The only values of 16 bytes that analytics has are UUIDs; Parquet has a type for them.
fn write_uuid(array: &dyn Array, row: usize, out: &mut Vec<u8>) {
    match Uuid::from_slice(array.as_fixed_size_binary().value(row)) {
        Ok(uuid) => write_quoted(format_args!("{uuid}"), out),
        Err(_) => write_null(array, row, out),
    }
}

/// Bytes that are UTF-8 are text, since some writers do not say of texts that they are. Others stay as they are, so
/// that the row is refused alone (IN-1).
pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    match str::from_utf8(bytes) {
        Ok(text) => write_json_string(text, out),
        Err(_) => {
            out.push(b'"');
            out.extend(bytes.iter().map(|byte| match byte {
                b'"' | b'\\' | ..b' ' => b'?',
                byte => *byte,
            }));
            out.push(b'"');
        }
    }
}

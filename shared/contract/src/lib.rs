//! What passes over the bus: generated protobuf, conversions both ways, subjects.

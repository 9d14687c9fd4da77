//! RFC 7643/7644 resources, filters and PATCH.

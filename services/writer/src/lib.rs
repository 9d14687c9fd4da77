//! Acts: carries commands out at Atlassian.

//! Reading Atlassian: organization API v2, user provisioning (SCIM), Jira Cloud.

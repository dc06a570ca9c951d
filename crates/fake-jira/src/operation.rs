//! The operations of Jira's REST API.

/// An operation of Jira's REST API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// All operations; for faults only.
    Any,
    /// A path or method that Jira does not have.
    Unknown,
    /// `GET serverInfo`
    ServerInfo,
    /// `GET myself`
    Myself,
    /// `GET mypermissions`
    MyPermissions,
    /// Cloud: `GET project/search`. Data Center: `GET project`
    Projects,
    /// `GET project/{key}`
    Project,
    /// `GET project/{key}/statuses`
    ProjectStatuses,
    /// `GET issue/createmeta/{project}/issuetypes`
    CreateMetaTypes,
    /// `GET issue/createmeta/{project}/issuetypes/{id}`
    CreateMetaFields,
    /// `POST issue`
    CreateIssue,
    /// `GET issue/{id}`
    GetIssue,
    /// `PUT issue/{id}`
    EditIssue,
    /// Cloud: `POST issue/bulkfetch`
    BulkFetch,
    /// Cloud: `GET` and `POST search/jql`. Data Center: `POST search`
    Search,
    /// Cloud: `GET issue/{id}/changelog`
    Changelog,
    /// `GET issue/{id}/transitions`
    GetTransitions,
    /// `POST issue/{id}/transitions`
    DoTransition,
    /// `GET issue/{id}/comment`
    GetComments,
    /// `POST issue/{id}/comment`
    AddComment,
    /// `GET comment/{id}/properties/{key}`
    GetCommentProperty,
    /// `POST issueLink`
    LinkIssues,
    /// `GET issueLinkType`
    LinkTypes,
    /// `GET user`
    User,
    /// `GET user/search`
    UserSearch,
    /// Cloud: `GET user/groups`
    UserGroups,
    /// `GET group/member`
    GroupMembers,
    /// `GET groups/picker`
    GroupPicker,
    /// `GET project/{key}/role`
    ProjectRoles,
    /// `GET project/{key}/role/{id}`
    ProjectRole,
    /// Cloud: `GET /_edge/tenant_info`
    TenantInfo,
    /// Atlassian's token endpoint: `POST /oauth/token`
    AccessToken,
    /// `GET servicedeskapi/request/{id}/approval`
    Approvals,
    /// `POST servicedeskapi/request`
    CreateRequest,
    /// `GET servicedeskapi/servicedesk/{desk}/requesttype/{id}`
    RequestType,
    /// `GET servicedeskapi/servicedesk`
    ServiceDesks,
}

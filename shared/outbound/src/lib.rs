//! One HTTP stack for all connectors: credentials, API budget, retry and disposition, spans.

"""Which attribute says what, in the words of those who instrument: the first that is there counts.

GenAI semantic conventions (new names before old ones), OpenInference, Traceloop, the vector stores' own, and ours.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from telemetry.evidence.kinds import SpanKind
from telemetry.evidence.otlp.sent import Scalar

type Names = tuple[str, ...]

PROVIDER: Final[Names] = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "llm.vendor")
MODEL: Final[Names] = (
    "gen_ai.response.model",
    "llm.response.model_name",
    "llm.response.model",
    "llm.model_name",
    "embedding.model_name",
    "gen_ai.request.model",
    "llm.request.model_name",
    "llm.request.model",
)
RESPONSE_ID: Final[Names] = ("gen_ai.response.id", "llm.response.id")
#: OpenInference keeps the whole answer, whose id is its first field.
ANSWER: Final = "output.value"
TOKENS_INPUT: Final[Names] = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)
TOKENS_OUTPUT: Final[Names] = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
TOKENS_CACHED: Final[Names] = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cached_tokens",
    "llm.token_count.prompt_details.cache_read",
    "llm.token_count.prompt_details.cache_input",
)
TOKENS_CACHE_WRITE: Final[Names] = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
TOKENS_REASONING: Final[Names] = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
#: In seconds.
FIRST_TOKEN: Final[Names] = (
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
    "gen_ai.response.time_to_first_token",
)
AGENT: Final[Names] = ("watermaster.agent", "gen_ai.agent.name", "agent.name")
TOOL: Final[Names] = ("gen_ai.tool.name", "tool.name", "tool_call.function.name", "mcp.tool.name")
#: What Traceloop calls an agent or a tool, by the span's kind.
ENTITY: Final = "traceloop.entity.name"
RUN: Final[Names] = ("watermaster.run_id", "gen_ai.conversation.id", "session.id")
DECISION: Final[Names] = ("watermaster.decision_id", "watermaster.reservation_id")
ERROR: Final[Names] = ("error.type", "exception.type")
SERVICE: Final[Names] = ("service.name",)

#: On the span or on its resource.
TENANT: Final[Names] = (
    "watermaster.tenant",
    "tenant.id",
    "tenant_id",
    "tenant",
    "traceloop.association.properties.tenant_id",
    "traceloop.association.properties.tenant",
)
PROMPT_SOURCE: Final[Names] = (
    "watermaster.prompt_source_tenant",
    "prompt_source_tenant",
    "prompt.source_tenant",
    "traceloop.association.properties.prompt_source_tenant",
)
NAMESPACE_TENANT: Final[Names] = ("watermaster.namespace_tenant", "namespace_tenant")
NAMESPACE: Final[Names] = (
    "watermaster.vector_namespace",
    "pinecone.query.namespace",
    "db.pinecone.namespace",
    "qdrant.search.collection_name",
    "qdrant.search_batch.collection_name",
    "db.milvus.search.collection_name",
    "db.milvus.query.collection_name",
    "db.chroma.query.segment._query.collection_id",
    "db.collection.name",
    "db.weaviate.collection.name",
    "gen_ai.data_source.id",
    "vector.namespace",
)
CACHE_KEY: Final[Names] = ("watermaster.cache_key", "cache.key", "gen_ai.cache.key", "gen_ai.prompt_cache.key")

_OPERATIONS: Final[Mapping[str, SpanKind]] = {
    "chat": SpanKind.INFERENCE,
    "text_completion": SpanKind.INFERENCE,
    "completion": SpanKind.INFERENCE,
    "generate_content": SpanKind.INFERENCE,
    "embeddings": SpanKind.EMBEDDING,
    "embedding": SpanKind.EMBEDDING,
    "retrieval": SpanKind.RETRIEVAL,
    "rerank": SpanKind.RETRIEVAL,
    "vector_db_retrieve": SpanKind.RETRIEVAL,
    "execute_tool": SpanKind.TOOL,
    "create_agent": SpanKind.AGENT,
    "invoke_agent": SpanKind.AGENT,
    # OpenInference
    "llm": SpanKind.INFERENCE,
    "retriever": SpanKind.RETRIEVAL,
    "reranker": SpanKind.RETRIEVAL,
    "tool": SpanKind.TOOL,
    "agent": SpanKind.AGENT,
}
_KIND: Final[Names] = (
    "gen_ai.operation.name",
    "openinference.span.kind",
    "llm.request.type",
    "traceloop.span.kind",
)


def first_of(names: Names, *places: Mapping[str, Scalar]) -> Scalar | None:
    """The first of these attributes that is there, in the first place that has one of them."""
    for attributes in places:
        for name in names:
            if (value := attributes.get(name)) is not None and value != "":
                return value
    return None


def all_of(names: Names, *places: Mapping[str, Scalar]) -> Iterator[Scalar]:
    """Whatever these attributes say, in all places."""
    for attributes in places:
        for name in names:
            if (value := attributes.get(name)) is not None and value != "":
                yield value


def kind_of(attributes: Mapping[str, Scalar]) -> SpanKind:
    """By what the span says of itself, else by what only one kind of span has."""
    for name in _KIND:
        said = attributes.get(name)
        if isinstance(said, str) and (kind := _OPERATIONS.get(said.lower())):
            return kind
    if first_of(NAMESPACE, attributes) is not None:
        return SpanKind.RETRIEVAL
    # A chain or a workflow adds up what its calls took: it has tokens and names no model.
    if first_of(TOKENS_INPUT, attributes) is not None and first_of(MODEL, attributes) is not None:
        return SpanKind.INFERENCE
    return SpanKind.TOOL if first_of(TOOL, attributes) is not None else SpanKind.OTHER

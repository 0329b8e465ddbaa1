"""What the engine lets through, Microsoft's worker accepts; what it leaves out, that refuses."""

from __future__ import annotations

import importlib
import sys
import typing
from collections.abc import Iterator
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from runtime import Protos

if sys.version_info < (3, 13):
    pytest.skip("azure-functions-runtime needs Python 3.13", allow_module_level=True)
pytest.importorskip("azure_functions_runtime")
EMPTY = Parameter.empty
T = typing.TypeVar("T")


class Out(typing.Generic[T]):
    """Somebody's own class of a name that means something to the worker."""


class Context:
    """The same."""


class Text(str):
    """A text of somebody's own."""


class MyOut(func.Out[str]):
    """An output of somebody's own."""


NewContext = typing.NewType("Context", str)
PLAIN = [
    *(EMPTY, str, bytes, bytearray, int, dict, list, bool, object, type(None), Text, typing.Any),
    *(func.HttpRequest, func.HttpResponse, func.QueueMessage, func.TimerRequest, func.InputStream),
    *(func.ServiceBusMessage, func.EventHubEvent, func.DocumentList, func.Document, func.Context),
    *(func.EventGridEvent, func.KafkaEvent, func.SqlRowList, func.Out, Out, Context, MyOut),
    *(7, NewContext, T, typing.List, typing.Union, typing.Callable, typing.Tuple),  # noqa: UP006
    *(list[str], dict[str, int], typing.Type[str], typing.Literal["a"]),  # noqa: UP006
    *(typing.Optional[str], str | None, typing.Union[str, bytes], typing.NoReturn),  # noqa: UP007, UP045
    *(typing.List[str], typing.List[func.EventHubEvent], typing.List[func.QueueMessage]),  # noqa: UP006
    *(typing.List[func.ServiceBusMessage], typing.Dict[str, int], typing.Tuple[str, int]),  # noqa: UP006
    *(typing.Callable[..., int], typing.Iterable[bytes], typing.ClassVar[int], typing.Final[int]),
    *(typing.Sequence[func.EventHubEvent], typing.Generic, typing.Mapping, type),
]
SUBSCRIPTS = [one for one in PLAIN if one not in (EMPTY, 7, typing.NoReturn)]


def _outs() -> Iterator[Any]:
    for annotation in SUBSCRIPTS:
        try:
            yield func.Out[annotation]
        except TypeError:
            continue


KINDS = ["http", "queue", "blob", "serviceBus", "eventHub", "cosmosDB", "eventGrid", "kafka", "sql"]
KINDS += ["durableClient", "someNew", "generic"]
TRIGGERS = ["httpTrigger", "queueTrigger", "blobTrigger", "timerTrigger", "serviceBusTrigger"]
TRIGGERS += ["eventHubTrigger", "cosmosDBTrigger", "eventGridTrigger", "kafkaTrigger", "sqlTrigger"]
TRIGGERS += ["activityTrigger", "orchestrationTrigger", "someNewTrigger", "warmupTrigger"]
ALL = [*PLAIN, *_outs()]


def indexed(signature: Signature, bindings: list[dict[str, Any]]) -> Any:
    """What Microsoft's registry knows of a function; it raises where it refuses it."""
    signatures: Any = importlib.import_module("identity_bindings.signatures")
    registration: Any = importlib.import_module("identity_bindings.registration")
    declarations: Any = importlib.import_module("identity_bindings.declarations")
    registry: Any = importlib.import_module("azure_functions_runtime.functions")
    importlib.import_module("azure_functions_runtime.bindings.meta").load_binding_registry()

    def handler() -> None: ...

    declared = declarations.FunctionDeclaration("f", Path("f"))
    app = func.FunctionApp()
    signatures.present(handler, signature)
    registration._decorate(app, declared, handler, bindings)
    (builder,) = app._function_builders
    return registry.Registry().add_indexed_function(builder.build(), Protos())


def conversions(known: Any) -> Any:
    """By which type the worker converts each input and output."""
    given = {name: (one.binding_name, one[2]) for name, one in known.input_types.items()}
    taken = {name: one.binding_name for name, one in known.output_types.items()}
    returned = known.return_type and known.return_type.binding_name
    return given, taken, returned, known.settlement_client_arg, known.requires_context


def bare(signature: Signature) -> Signature:
    """A signature without its annotations."""
    plain = [one.replace(annotation=EMPTY) for one in signature.parameters.values()]
    return signature.replace(parameters=plain, return_annotation=EMPTY)


def agree(signature: Signature, bindings: list[dict[str, Any]]) -> str:
    """Compare the engine's judgement with the registry's, and return a word for it."""
    rules: Any = importlib.import_module("identity_bindings.host_adapter")
    wrong = list(rules.mismatches(signature, bindings))
    if wrong:
        if "by its own name" not in str(wrong):  # which is refused at the call only
            with pytest.raises(Exception):  # noqa: B017
                indexed(bare(signature), bindings)
        return "mismatch"

    converted = conversions(indexed(rules.shown(signature, bindings), bindings))

    try:
        as_written = conversions(indexed(signature, bindings))
    except Exception:
        assert converted == conversions(indexed(bare(signature), bindings))
        return "left out"
    assert converted == as_written, (str(signature), bindings)
    return "as it is"


def parameter(name: str, annotation: Any = EMPTY) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation)


TIMER = {"name": "t", "type": "timerTrigger", "direction": "in"}


def placed(kind: str, annotation: Any) -> dict[str, str]:
    """The word for an annotation in each place that a binding of a kind can have."""
    if kind.endswith("Trigger"):
        bindings = [{"name": "it", "type": kind, "direction": "in"}]
        return {"in": agree(Signature([parameter("it", annotation)]), bindings)}
    parameters = [parameter("it", annotation), parameter("t")]
    words = {}
    for way in ("in", "out"):
        bindings = [TIMER, {"name": "it", "type": kind, "direction": way}]
        words[way] = agree(Signature(parameters), bindings)
    signature = Signature(parameters[1:], return_annotation=annotation)
    bindings = [TIMER, {"name": "$return", "type": kind, "direction": "out"}]
    return words | {"return": agree(signature, bindings)}


@pytest.mark.parametrize("kind", [*KINDS, *TRIGGERS])
def test_every_annotation_on_every_binding(kind: str) -> None:
    words = {word for annotation in ALL for word in placed(kind, annotation).values()}
    assert words == {"left out", "as it is"}


def test_every_annotation_of_the_context() -> None:
    def word(annotation: Any) -> str:
        return agree(Signature([parameter("context", annotation), parameter("t")]), [TIMER])

    as_they_are = [one for one in ALL if word(one) == "as it is"]
    assert as_they_are == [EMPTY, func.Context, Context]


@pytest.fixture
def base() -> Iterator[Any]:
    """The base of Microsoft's extensions, which an app imports with any of them."""
    yield pytest.importorskip("azurefunctions.extensions.base")
    sys.modules.pop("azurefunctions.extensions.base", None)


@pytest.fixture
def blob_extension(base: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A type of an SDK, and what registers it: as the extension does."""
    meta: Any = importlib.import_module("azure_functions_runtime.bindings.meta")
    registry = base.get_binding_registry()
    monkeypatch.setattr(registry, "_bindings", dict(registry._bindings))
    monkeypatch.setattr(meta, "DEFERRED_BINDING_REGISTRY", registry)

    class BlobClient(base.SdkType):
        def __init__(self, *, data: Any) -> None: ...
        def get_sdk_type(self) -> Any: ...

    class Converter(base.InConverter, base.OutConverter, binding="blob", trigger="blobTrigger"):
        @classmethod
        def check_input_type_annotation(cls, pytype: type) -> bool:
            return issubclass(pytype, BlobClient)

        @classmethod
        def check_output_type_annotation(cls, pytype: type) -> bool:
            return False

    return BlobClient


def test_a_settlement_client(base: Any, blob_extension: Any) -> None:
    """It is the one parameter that needs no binding."""

    class Client(base.GrpcClientType): ...  # type: ignore[misc]

    def word(**hints: Any) -> str:
        parameters = [*(parameter(*one) for one in hints.items()), parameter("t")]
        return agree(Signature(parameters), [{**TIMER, "type": "serviceBusTrigger"}])

    assert word(client=Client) == word(client=Client, context=EMPTY) == "as it is"
    assert word(one=Client, two=Client) == word(client=EMPTY) == word(client=str) == "mismatch"


@pytest.mark.parametrize("kind", ["blob", "blobTrigger", "queue", "queueTrigger", "httpTrigger"])
def test_types_of_an_sdk(blob_extension: Any, kind: str) -> None:
    for annotation in (
        *(typing.List[blob_extension], func.Out[blob_extension], str),  # noqa: UP006
        *(func.InputStream, typing.Literal["a"], typing.Optional[blob_extension]),  # noqa: UP045
    ):
        placed(kind, annotation)
    word = placed(kind, blob_extension)["in"]
    assert word == ("as it is" if "blob" in kind else "left out")

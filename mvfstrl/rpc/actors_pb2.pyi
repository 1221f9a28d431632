from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Purpose(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNKNOWN: _ClassVar[Purpose]
    TRAIN: _ClassVar[Purpose]
    EVALUATE: _ClassVar[Purpose]
UNKNOWN: Purpose
TRAIN: Purpose
EVALUATE: Purpose

class FromActor(_message.Message):
    __slots__ = ("hello", "ready", "row", "report", "leave")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    LEAVE_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    ready: Ready
    row: Row
    report: Report
    leave: Leave
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., ready: _Optional[_Union[Ready, _Mapping]] = ..., row: _Optional[_Union[Row, _Mapping]] = ..., report: _Optional[_Union[Report, _Mapping]] = ..., leave: _Optional[_Union[Leave, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("protocol", "purpose", "name", "sessions")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    purpose: Purpose
    name: str
    sessions: int
    def __init__(self, protocol: _Optional[int] = ..., purpose: _Optional[_Union[Purpose, str]] = ..., name: _Optional[str] = ..., sessions: _Optional[int] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ("spec_hash",)
    SPEC_HASH_FIELD_NUMBER: _ClassVar[int]
    spec_hash: str
    def __init__(self, spec_hash: _Optional[str] = ...) -> None: ...

class Row(_message.Message):
    __slots__ = ("number", "observation", "reward", "first", "terminated", "truncated", "skipped", "job", "asks", "waited_ms")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    TERMINATED_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    WAITED_MS_FIELD_NUMBER: _ClassVar[int]
    number: int
    observation: bytes
    reward: float
    first: bool
    terminated: bool
    truncated: bool
    skipped: int
    job: int
    asks: bool
    waited_ms: float
    def __init__(self, number: _Optional[int] = ..., observation: _Optional[bytes] = ..., reward: _Optional[float] = ..., first: _Optional[bool] = ..., terminated: _Optional[bool] = ..., truncated: _Optional[bool] = ..., skipped: _Optional[int] = ..., job: _Optional[int] = ..., asks: _Optional[bool] = ..., waited_ms: _Optional[float] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("json", "failed")
    JSON_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    json: str
    failed: str
    def __init__(self, json: _Optional[str] = ..., failed: _Optional[str] = ...) -> None: ...

class Leave(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FromServer(_message.Message):
    __slots__ = ("welcome", "episode", "answer", "over")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    EPISODE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    OVER_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    episode: Episode
    answer: Answer
    over: Over
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., episode: _Optional[_Union[Episode, _Mapping]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ..., over: _Optional[_Union[Over, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol", "spec_hash", "jobs", "play")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SPEC_HASH_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    PLAY_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    spec_hash: str
    jobs: _containers.RepeatedScalarFieldContainer[str]
    play: str
    def __init__(self, protocol: _Optional[int] = ..., spec_hash: _Optional[str] = ..., jobs: _Optional[_Iterable[str]] = ..., play: _Optional[str] = ...) -> None: ...

class Episode(_message.Message):
    __slots__ = ("seed", "scenario")
    SEED_FIELD_NUMBER: _ClassVar[int]
    SCENARIO_FIELD_NUMBER: _ClassVar[int]
    seed: int
    scenario: int
    def __init__(self, seed: _Optional[int] = ..., scenario: _Optional[int] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("number", "action", "version")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    number: int
    action: int
    version: int
    def __init__(self, number: _Optional[int] = ..., action: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class Over(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

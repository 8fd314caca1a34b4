"""Programs that log in each way the standard library knows, and how many records of each are captured."""

# ruff: noqa: E501 - programs as people write them
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["CAPTURED", "PROGRAMS"]

_PROGRAMS: Final[Mapping[str, tuple[int, str]]] = {
    "last_resort": (
        3,
        """
import logging
log = logging.getLogger("app")
log.info("below")
log.warning("last resort %d", 1)
logging.warning("the module's function configures the root")
log.error("now %s", "formatted")
print([type(one).__name__ for one in logging.getLogger().handlers], logging.lastResort)
""",
    ),
    "basic_config": (
        3,
        """
import logging, sys
FORMAT = "%(levelname)s|%(name)s|%(module)s|%(funcName)s|%(lineno)d|%(filename)s|%(threadName)s|%(message)s"
logging.basicConfig(stream=sys.stdout, level=logging.DEBUG, format=FORMAT)
def place():
    logging.getLogger("app.orders").info("order %s of %d", "o-1", 5)
class Desk:
    def trade(self):
        logging.getLogger("app").debug("detail")
        logging.getLogger("app").critical({"kind": "structure"})
place(); Desk().trade(); (lambda: logging.warning("from a lambda"))()
""",
    ),
    "basic_config_to_a_file": (
        2,
        """
import logging
logging.basicConfig(filename="app.log", level=logging.INFO, format="{levelname} {message}", style="{")
logging.getLogger("a").info("one")
logging.getLogger("b.c").error("two")
print(open("app.log").read())
""",
    ),
    "dict_config": (
        3,
        """
import logging, logging.config
early = logging.getLogger("early")
early.warning("before")
logging.config.dictConfig({
    "version": 1,
    "formatters": {"f": {"format": "%(name)s %(levelname)s %(message)s"}},
    "handlers": {
        "out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "f"},
        "file": {"class": "logging.FileHandler", "filename": "app.log", "formatter": "f", "level": "ERROR"},
    },
    "loggers": {"app": {"handlers": ["out", "file"], "level": "INFO", "propagate": False}},
    "root": {"level": "WARNING", "handlers": ["out"]},
})
early.warning("disabled by dictConfig")
logging.getLogger("app").info("filled")
logging.getLogger("app.deep").error("rejected")
logging.getLogger("other").info("below the root's level")
print(early.disabled, logging.getLogger("app").handlers[0].name)
""",
    ),
    "file_config": (
        2,
        """
import logging, logging.config
open("logging.ini", "w").write('''
[loggers]
keys=root,app
[handlers]
keys=out
[formatters]
keys=f
[logger_root]
level=WARNING
handlers=out
[logger_app]
level=INFO
handlers=
qualname=app
[handler_out]
class=StreamHandler
args=(sys.stdout,)
formatter=f
[formatter_f]
format=%(name)s:%(lineno)d:%(message)s
''')
logging.config.fileConfig("logging.ini", disable_existing_loggers=False)
logging.getLogger("app").info("filled")
logging.getLogger("root.child").warning("child")
""",
    ),
    "propagate": (
        2,
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="root %(message)s")
app = logging.getLogger("app"); app.propagate = False
app.warning("nobody prints this but the last resort")
app.addHandler(logging.StreamHandler(sys.stdout))
app.warning("only here")
""",
    ),
    "queue_handler": (
        2,
        """
import logging, logging.handlers, queue, sys
box = queue.Queue()
out = logging.StreamHandler(sys.stdout)
out.setFormatter(logging.Formatter("%(name)s %(lineno)d %(message)s %(args)s"))
listener = logging.handlers.QueueListener(box, out)
app = logging.getLogger("app"); app.propagate = False; app.setLevel(logging.INFO)
app.addHandler(logging.handlers.QueueHandler(box))
listener.start()
app.info("filled %d of %d", 1, 2)
try:
    1 / 0
except ZeroDivisionError:
    app.exception("rejected")
listener.stop()
""",
    ),
    "memory_handler": (
        3,
        """
import logging, logging.handlers, sys
target = logging.StreamHandler(sys.stdout)
app = logging.getLogger("app"); app.propagate = False; app.setLevel(logging.INFO)
app.addHandler(logging.handlers.MemoryHandler(10, logging.ERROR, target))
app.info("one"); app.info("two"); print("nothing yet"); app.error("now")
""",
    ),
    "rotating_file": (
        30,
        """
import logging, logging.handlers
app = logging.getLogger("app"); app.propagate = False; app.setLevel(logging.INFO)
app.addHandler(logging.handlers.RotatingFileHandler("app.log", maxBytes=200, backupCount=3))
for number in range(30):
    app.info("order %d filled", number)
""",
    ),
    "exceptions": (
        5,
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
log = logging.getLogger("app")
def fail():
    raise ValueError("price") from KeyError("symbol")
try:
    fail()
except ValueError as error:
    log.exception("with %s", "arguments")
    log.error("by instance", exc_info=error)
    log.error("by tuple", exc_info=sys.exc_info())
log.error("none at hand", exc_info=True)
log.warning("a false one", exc_info=())
""",
    ),
    "stack_info": (
        2,
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(funcName)s %(lineno)d %(message)s")
log = logging.getLogger("app")
def inner():
    log.warning("here", stack_info=True)
def wrapper():
    log.warning("of my caller", stacklevel=2, stack_info=True)
def outer():
    inner()
    wrapper()
outer()
""",
    ),
    "logger_adapter": (
        2,
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(funcName)s %(lineno)d %(desk)s %(message)s")
class Mine(logging.LoggerAdapter):
    def process(self, msg, kwargs):
        return f"[{self.extra['desk']}] {msg}", super().process(msg, kwargs)[1]
def trade():
    Mine(logging.getLogger("app"), {"desk": "fx"}).warning("filled %d", 5)
    logging.LoggerAdapter(logging.getLogger("app"), {"desk": "eq"}).error("rejected")
trade()
""",
    ),
    "logger_class": (
        4,
        """
import logging, sys
class Trace(logging.Logger):
    def trace(self, msg, *args, **kwargs):
        if self.isEnabledFor(25):
            self._log(25, msg, args, **kwargs)
    def makeRecord(self, *args, **kwargs):
        record = super().makeRecord(*args, **kwargs)
        record.desk = "fx"
        return record
    def callHandlers(self, record):
        print("calling handlers of", record.name)
        super().callHandlers(record)
    def handle(self, record):
        print("handling", record.getMessage())
        super().handle(record)
logging.setLoggerClass(Trace)
logging.addLevelName(25, "TRACE")
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(desk)s %(funcName)s %(message)s")
log = logging.getLogger("app")
def place():
    log.trace("traced %s", "o-1")
    log.log(25, "by number")
    log.info("plain")
place()
class Silent(Trace):
    def callHandlers(self, record):
        print("keeps", record.getMessage())
logging.setLoggerClass(Silent)
logging.getLogger("silent").error("nobody's handlers see this")
logging.getLogger("app").error("last")
""",
    ),
    "record_factory": (
        2,
        """
import logging, sys
factory = logging.getLogRecordFactory()
class Brace(logging.LogRecord):
    def getMessage(self):
        return str(self.msg).format(*self.args)
def make(*args, **kwargs):
    record = Brace(*args, **kwargs)
    record.desk = "fx"
    record.created = 0.0
    record.msecs = 0
    return record
logging.setLogRecordFactory(make)
logging.basicConfig(stream=sys.stdout, format="%(desk)s %(created)s %(message)s")
logging.getLogger("app").warning("filled {} of {}", 1, 2)
logging.getLogger("app").warning("too few {} {}")
""",
    ),
    "record_factory_that_makes_anything": (
        2,
        """
import logging
class Odd:
    levelno, exc_info, args, msg, name = 30, None, (), "odd", "app"
    def getMessage(self):
        return self.msg
logging.setLogRecordFactory(lambda *args, **kwargs: Odd())
class Show(logging.Handler):
    def emit(self, record):
        print(type(record).__name__, record.getMessage())
app = logging.getLogger("app"); app.propagate = False; app.addHandler(Show())
app.warning("odd")
def strange(*args, **kwargs):
    record = logging.LogRecord(*args)
    record.levelname, record.created, record.lineno, record.pathname = 30, None, {}, []
    return record
logging.setLogRecordFactory(strange)
app.warning("stranger")
""",
    ),
    "filters": (
        2,
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(desk)s %(message)s")
app = logging.getLogger("app")
def change(record):
    record.desk = "fx"
    record.msg = record.msg.upper()
    return "heartbeat" not in record.msg.lower()
app.addFilter(change)
app.warning("filled %d", 1)
app.warning("heartbeat")
class OnHandler(logging.Filter):
    def filter(self, record):
        record.args = ("changed",)
        return record.levelno < logging.CRITICAL
logging.getLogger().handlers[0].addFilter(OnHandler())
app.error("rejected %s", "o-1")
""",
    ),
    "filters_that_replace": (
        1,
        """
import copy, logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
app = logging.getLogger("app")
def replace(record):
    other = copy.copy(record)
    other.msg = "replaced"
    other.args = ()
    return other
app.addFilter(replace)
app.warning("secret %s", "x")
""",
    ),
    "filter_that_raises": (
        0,
        """
import logging
app = logging.getLogger("app")
def fail(record):
    raise KeyError(record.msg)
app.addFilter(fail)
try:
    app.warning("boom")
except KeyError as error:
    print("raised", error)
""",
    ),
    "levels_and_caches": (
        4,
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(name)s %(message)s")
app = logging.getLogger("app")
print(app.isEnabledFor(20), sorted(app._cache.items()))
app.info("off"); app.warning("on")
app.setLevel(logging.DEBUG)
print(app.isEnabledFor(20), sorted(app._cache.items()))
app.info("on now")
logging.disable(logging.WARNING)
app.warning("disabled"); app.error("above")
logging.disable(logging.NOTSET)
app.disabled = True
app.error("this logger is disabled")
app.disabled = False
app.warning("again")
print(app.getEffectiveLevel(), app.getChild("x").getEffectiveLevel(), app.hasHandlers(), repr(app))
""",
    ),
    "bad_arguments": (
        6,
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
app = logging.getLogger("app")
class Raising:
    def __str__(self):
        raise ZeroDivisionError("in __str__")
    __repr__ = __str__
logging.raiseExceptions = False
app.warning("%d orders", "many")
app.warning("one %s", 1, 2)
app.warning("order %s", Raising())
app.warning(Raising())
app.warning("100%", 1)
print("raiseExceptions is off: nothing was printed")
class Counting:
    asked = 0
    def __repr__(self):
        return "told"
app.warning("order %r", Counting())
try:
    app.warning("x", extra={"message": 1})
except KeyError as error:
    print(error)
try:
    app.warning("x", colour="red")
except TypeError as error:
    print(error)
""",
    ),
    "raise_exceptions": (
        2,
        """
import logging
class Broken(logging.Handler):
    def emit(self, record):
        try:
            raise OSError("disk")
        except OSError:
            self.handleError(record)
class Raising(logging.Handler):
    def emit(self, record):
        raise RuntimeError(record.msg)
app = logging.getLogger("app"); app.propagate = False
app.addHandler(Broken())
app.warning("order %d", 5)
app.addHandler(Raising())
logging.raiseExceptions = False
try:
    app.warning("passes on")
except RuntimeError as error:
    print("raised", error)
""",
    ),
    "at_exit": (
        3,
        """
import atexit, logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
class Closing(logging.StreamHandler):
    def close(self):
        print("closed by shutdown")
        super().close()
logging.getLogger("app").addHandler(Closing(sys.stdout))
@atexit.register
def last():
    logging.getLogger("app").warning("in atexit")
class Dying:
    def __del__(self):
        logging.getLogger("app").warning("in __del__")
one = Dying(); del one
kept = Dying()
logging.getLogger("app").warning("main ends")
""",
    ),
    "signals": (
        3,
        """
import logging, os, signal, sys
logging.basicConfig(stream=sys.stdout, format="%(funcName)s %(message)s")
app = logging.getLogger("app")
def on_signal(number, frame):
    app.warning("in a handler of signal %d", number)
signal.signal(signal.SIGUSR1, on_signal)
app.warning("before")
os.kill(os.getpid(), signal.SIGUSR1)
class Signalling:
    def __str__(self):
        return "told"
app.warning("order %s", Signalling())
""",
    ),
    "threads": (
        20,
        """
import logging, sys, threading
logging.basicConfig(stream=sys.stdout, format="%(threadName)s %(message)s")
def work(number):
    for step in range(5):
        logging.getLogger("app").warning("step %d", step)
for number in range(4):
    thread = threading.Thread(target=work, args=(number,), name=f"worker-{number}")
    thread.start(); thread.join()
""",
    ),
    "asyncio_tasks": (
        4,
        """
import asyncio, logging, sys
logging.basicConfig(stream=sys.stdout, format="%(funcName)s %(message)s")
async def trade(number):
    await asyncio.sleep(0)
    logging.getLogger("app").warning("trade %d", number)
async def main():
    await asyncio.gather(*(trade(number) for number in range(3)))
    logging.getLogger("app").warning("done")
asyncio.run(main())
""",
    ),
    "fork": (
        1,
        """
import logging, os, sys, warnings
warnings.filterwarnings("ignore", message="This process .* is multi-threaded")
logging.basicConfig(stream=sys.stdout, format="%(message)s")
sys.stdout.flush()
pid = os.fork()
if not pid:
    logging.getLogger("app").warning("child")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
logging.getLogger("app").warning("parent")
""",
    ),
    "captured_warnings": (
        3,
        """
import logging, sys, warnings
logging.basicConfig(stream=sys.stdout, format="%(name)s %(message)s")
logging.captureWarnings(True)
warnings.warn("old", DeprecationWarning, stacklevel=1)
warnings.simplefilter("always")
warnings.warn("new")
logging.captureWarnings(False)
logging.getLogger("app").warning("end")
""",
    ),
    "records_made_by_hand": (
        2,
        """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(name)s %(message)s")
logging.getLogger("app").handle(logging.makeLogRecord({"name": "elsewhere", "msg": "hi %s", "args": ("x",), "levelno": 30}))
logging.getLogger("app").handle(logging.LogRecord("app", 30, "/f.py", 3, "by hand", None, None))
""",
    ),
    "frame_walkers": (
        2,
        """
import inspect, logging, os
class Intercept(logging.Handler):
    def emit(self, record):
        frame, depth = inspect.currentframe(), 0
        while frame:
            name = frame.f_code.co_filename
            if depth > 0 and name != logging.__file__ and not ("importlib" in name and "_bootstrap" in name):
                break
            frame, depth = frame.f_back, depth + 1
        print(record.getMessage(), "by", frame.f_code.co_name, os.path.basename(frame.f_code.co_filename), frame.f_lineno)
logging.basicConfig(handlers=[Intercept()], level=0)
def place():
    logging.getLogger("app").info("one")
    logging.info("two")
place()
""",
    ),
    "caplog": (
        4,
        """
import pytest
open("test_app.py", "w").write('''
import logging
log = logging.getLogger("app")
def test_one(caplog):
    with caplog.at_level(logging.INFO):
        log.info("filled %d", 5, extra={"desk": "fx"})
    assert caplog.record_tuples == [("app", 20, "filled 5")]
    assert caplog.records[0].desk == "fx"
def test_two(caplog):
    log.info("below")
    log.warning("kept")
    assert caplog.messages == ["kept"]
    caplog.clear()
    log.error("and %s", "this")
    assert [record.funcName for record in caplog.records] == ["test_two"]
def test_fails(caplog):
    log.warning("shown in the report")
    assert 0
''')
open("pytest.ini", "w").write("[pytest]\\naddopts = -p no:cacheprovider --tb=short -o console_output_style=classic\\n")
import re, io, contextlib
out = io.StringIO()
with contextlib.redirect_stdout(out):
    code = pytest.main(["-q", "-W", "ignore::pytest.PytestAssertRewriteWarning", "test_app.py"])
print(code, re.sub(r"in [0-9.]+s", "in 0s", out.getvalue()))
""",
    ),
    "loguru_intercepts": (
        2,
        """
import inspect, logging, sys
from loguru import logger
class InterceptHandler(logging.Handler):
    def emit(self, record):
        try:
            level = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        frame, depth = inspect.currentframe(), 0
        while frame:
            filename = frame.f_code.co_filename
            is_logging = filename == logging.__file__
            is_frozen = "importlib" in filename and "_bootstrap" in filename
            if depth > 0 and not (is_logging or is_frozen):
                break
            frame = frame.f_back
            depth += 1
        logger.opt(depth=depth, exception=record.exc_info).log(level, record.getMessage())
logger.remove()
logger.add(sys.stdout, format="{level} {name} {function} {line} {message}")
logging.basicConfig(handlers=[InterceptHandler()], level=0, force=True)
def place():
    logging.getLogger("app").info("filled %d", 5)
    logging.getLogger("app").warning("rejected")
place()
logger.info("loguru's own goes its own way")
""",
    ),
    "structlog_over_the_standard_library": (
        2,
        """
import logging, sys, structlog
logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.INFO)
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level, structlog.stdlib.add_logger_name, structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.FUNC_NAME]),
        structlog.processors.JSONRenderer(sort_keys=True),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(), wrapper_class=structlog.stdlib.BoundLogger,
)
def place():
    log = structlog.get_logger("app").bind(desk="fx")
    log.info("filled %d", 5, symbol="AAPL")
    log.debug("below")
    log.error("rejected", reason="limit")
place()
""",
    ),
}
PROGRAMS: Final[Mapping[str, str]] = {name: source for name, (_, source) in _PROGRAMS.items()}
CAPTURED: Final[Mapping[str, int]] = {name: count for name, (count, _) in _PROGRAMS.items()}
"""Records of each, from INFO up."""

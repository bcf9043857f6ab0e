"""The edge: two HAProxy that share a port in front of the API servers. Source: HAProxy 2.6 configuration manual.

Not ready is not dead. An API server is not ready while its etcd stalls: on a slow disk, in an election, on a machine
that is busy. That passes, and often it is so with all three at once. What is idle on its connections (watches, `kubectl
exec`, `port-forward`, `logs -f`) goes on afterwards as if nothing had been. What is not idle hangs: a frozen etcd
answers no request, and an HTTP/2 client sends all that follow by the same connection. So a proxy asks each API server
for `/readyz`, and goes by the answer:

| answer | new connections | those that it has |
|---|---|---|
| 200: ready | go to the servers that are ready | stay |
| another: alive | only when none is ready | end after 2 s of it, if its etcd is silent and another server is ready |
| none: silent | the same; after 2 s only when none is alive | the same; also if another is only alive |

- **New connections** are HAProxy's own matter: `api-x` is down after one check without a 200, `alive-x` is the same
  server as a backup, and all backups are used when no `api-x` is up. To be wrong here costs nothing.
- **Open ones** are ended by `sessions.lua` alone. `on-marked-down shutdown-sessions` would end them for each stall, and
  those of all servers when all stall for one reason. A server must be worse than another for 2 s, and that one must
  have been better for 0.9 s: after a stall of all, whoever is back first does not take everything from the others.
- **2 s** lie between two promises: a stall of 2 s ends nothing, and nobody hangs for more than 3 s. They count from the
  beginning of the first check that failed, at most 0.3 s after the last that did not. After its etcd goes on, an API
  server needs 0.1 s, on a busy machine 0.4, which those who hang do not have. So its etcd is then asked itself, for no
  more than a TLS handshake. One that has gone on answers at once, and its API server has 2 s more.
- So connections end 2.15 to 2.55 s after a member was frozen, and their clients have 0.4 s to come back in time.
- **Nobody takes the room of others.** A source has at most so many connections (`_SOURCE`), all from outside and all
  from within the VPC so many each (`_SIDE`); the rest of the whole is for the checks, so that no number of callers
  makes a server look silent. Who says nothing for 10 s is not kept: TLS clients speak first.
- **Checks go by connections that are kept**: each by a listener of the proxy's own, which verifies the certificate and
  makes a new connection after 20 questions. With a TLS handshake for each, checks at this pace would cost an idle
  control plane two fifths more; so it is a tenth.
- A process that dies closes its connections itself; nobody waits for the 2 s then.
- A proxy counts the time in which it runs: one that was stopped itself does not take that for its servers' fault.
- On a slow machine all times are longer (`patience`), and so are the promises.
- A server that comes back has few connections and would get all new ones (`leastconn`); it gets them by and by.
"""

from __future__ import annotations

from roadstead.clusters.components import facts
from roadstead.clusters.components.control import files
from roadstead.contract import layout
from roadstead.contract.messages import desired

HOST = "edge"
HEALTH_PORT = 8440
"""Each proxy answers on loopback at this port plus its number: on the shared port either might."""
WATCH = "watch.lua"
"""The file by which each proxy watches the other."""
SESSIONS = "sessions.lua"
"""The file by which a proxy ends the connections to a server that does not come back."""
_READINESS_PORT = 8400
"""Each proxy asks the API servers by way of its own ports on loopback: from this plus ten times its number on."""
_WHOLE, _SIDE, _SOURCE = 8000, 3500, 500
"""Connections of one proxy, of which there are two: all, those from one side, those of one source."""
_CHECKS = ("etcd", "etcd-readiness")
"""Of the state of etcd, in `/readyz`; they differ in their flags only."""


def name(number: int) -> str:
    """The unit's name."""
    return f"proxy-{number}"


def unit(plane: facts.ControlPlane, number: int, digests: facts.Digests) -> desired.Unit:
    """Proxy 1 or 2."""
    own = name(number)
    return desired.Unit(
        engine=layout.SYSTEM,
        component="haproxy",
        flags={"f": files.at(own, "haproxy.cfg")},
        files=files.files(digests, _texts(plane, number), {}),
        ready=desired.TcpProbe(port=HEALTH_PORT + number),
        group=f"{plane.id}.edge",
        stop_timeout=5.0,
    )


def _texts(plane: facts.ControlPlane, number: int) -> dict[str, str]:
    return {
        "haproxy.cfg": configuration(plane, number),
        WATCH: watch(number, plane.patience),
        SESSIONS: sessions(plane),
    }


def configuration(plane: facts.ControlPlane, number: int) -> str:
    """The text of haproxy.cfg.

    TLS goes through untouched. Two processes may have one port: HAProxy listens with SO_REUSEPORT.
    """
    first = _READINESS_PORT + 10 * number
    members = [(each.letter, f"{each.api}:{facts.API_PORT}", first + n) for n, each in enumerate(plane.members)]
    ready = [f"  server api-{letter} {where} check addr 127.0.0.1 port {port}" for letter, where, port in members]
    alive = [f"  server alive-{letter} {where} backup" for letter, where, _ in members]
    ca = files.at(name(number), "ca.pem")
    return _TEXT.format(
        whole=_WHOLE,
        outside=_SIDES.format(
            side="outside", address=plane.endpoint.control, port=facts.API_PORT, most=_SIDE, each=_SOURCE
        ),
        inside=_SIDES.format(
            side="inside", address=plane.endpoint.private, port=facts.API_PORT, most=_SIDE, each=_SOURCE
        ),
        health=HEALTH_PORT + number,
        watch=files.at(name(number), WATCH),
        sessions=files.at(name(number), SESSIONS),
        other=_CHECKS[2 - number],
        connect=plane.patience,
        check=700 * plane.patience,
        servers="\n".join([*ready, *alive]),
        readiness="\n".join(
            _READINESS.format(letter=letter, where=where, port=port, ca=ca) for letter, where, port in members
        ),
    )


def sessions(plane: facts.ControlPlane) -> str:
    """The text of sessions.lua. Source: HAProxy 2.6 Lua API; management manual 9.1, "act", "status", "check_status"."""
    return _SESSIONS.format(
        letters=", ".join(f'"{each.letter}"' for each in plane.members),
        etcd=", ".join(f'{each.letter} = "{each.etcd}"' for each in plane.members),
        etcd_port=facts.ETCD_PORT,
        worse=f"{2.0 * plane.patience:.1f}",
        better=f"{0.9 * plane.patience:.1f}",
        patient=f"{4.0 * plane.patience:.1f}",
        answer=f"{0.15 * plane.patience:.2f}",
    )


def watch(number: int, patience: int = 1) -> str:
    """The text of watch.lua: one proxy ends the other when that is frozen.

    The kernel gives a frozen process its half of the new connections, and nothing closes those that it has: clients
    hang until it goes on, or dies. Its sibling needs no one else to see that; s6 then starts it again. A process that
    is dead refuses connections, and is left to s6. Source: HAProxy 2.6 Lua API; s6-supervise, `control` (k: SIGKILL).
    """
    other = 3 - number
    return _WATCH.format(
        port=HEALTH_PORT + other,
        control=f"{layout.SERVICES}/{name(other)}/supervise/control",
        timeout=f"{0.5 * patience:g}",
    )


_TEXT = """\
global
  log stdout format raw local0 notice
  maxconn {whole}
  nbthread 1
  lua-load {watch}
  lua-load {sessions}

defaults
  log global
  mode tcp
  option dontlognull
  option clitcpka
  option srvtcpka
  option redispatch 1
  retries 2
  timeout connect {connect}s
  timeout check {check}ms
  timeout client 1h
  timeout server 1h
  timeout client-fin 10s

{outside}
{inside}
frontend health
  bind 127.0.0.1:{health}
  mode http
  timeout client 5s
  monitor-uri /

backend api-servers
  balance leastconn
  option allbackups
  option httpchk
  # Two checks of `/readyz` ask etcd the same, at some cost for all members. Each is asked by one proxy: a second
  # question within 250 ms is answered by what the last one found, though it may be waiting for a frozen etcd.
  http-check send meth GET uri /readyz?exclude={other} ver HTTP/1.1 hdr Host kubernetes hdr Connection close
  http-check expect status 200
  default-server inter 300ms downinter 100ms fall 1 rise 1 slowstart 5s
{servers}
{readiness}"""

_SIDES = """\
frontend {side}
  bind {address}:{port}
  maxconn {most}
  stick-table type ip size 20k expire 1m store conn_cur
  tcp-request connection track-sc0 src
  tcp-request connection reject if {{ sc0_conn_cur gt {each} }}
  tcp-request inspect-delay 10s
  tcp-request content accept if {{ req.len gt 0 }}
  tcp-request content reject
  default_backend api-servers
"""

_READINESS = """
listen readiness-{letter}
  bind 127.0.0.1:{port}
  mode http
  http-reuse always
  retries 0
  timeout connect 700ms
  timeout client 5s
  timeout server 700ms
  server api-{letter} {where} ssl verify required ca-file {ca} sni str(kubernetes) verifyhost kubernetes max-reuse 20
"""

_WATCH = """\
local EVERY, TIMEOUT, MISSES, AFTERWARDS = 200, {timeout}, 2, 3000

local function connected_and_silent()
  local socket = core.tcp()
  socket:settimeout(TIMEOUT)
  local silent = false
  if socket:connect("127.0.0.1", {port}) then
    socket:send("GET / HTTP/1.0\\r\\n\\r\\n")
    local asked = core.now()
    local answer = socket:receive("*l")
    local now = core.now()
    -- An end of the connection and an end of the patience look the same.
    local waited = now.sec - asked.sec + (now.usec - asked.usec) / 1000000
    silent = answer == nil and waited > 0.9 * TIMEOUT
  end
  socket:close()
  return silent
end

core.register_task(function()
  local missed = 0
  while true do
    core.msleep(EVERY)
    missed = connected_and_silent() and missed + 1 or 0
    if missed >= MISSES then
      core.Alert("the other proxy is frozen: it is ended")
      local control = io.open("{control}", "r+")
      if control then
        control:write("k")
        control:close()
      end
      missed = 0
      core.msleep(AFTERWARDS)
    end
  end
end)
"""

_SESSIONS = """\
-- Milliseconds between two looks, when all are ready and when not; and the most seconds that one counts.
local EVERY, CLOSER, MOST = 100, 25, 0.3
local SILENT, ALIVE, READY = 0, 1, 2
-- Seconds: how long a server must be worse than another, and how long the other must have been better.
local WORSE, BETTER = {worse}, {better}
-- The same when its etcd answers; how long that has for it, and how long it is not asked again.
local PATIENT, ANSWER, AGAIN = {patient}, {answer}, 0.3
local LETTERS = {{ {letters} }}
local ETCD = {{ {etcd} }}
local ANSWERED = {{ L7OK = true, L7STS = true, L7RSP = true }}

-- For each server and level, how many seconds without a break it is at that level at least, or below it.
local at_least, below, spared = {{}}, {{}}, {{}}
for _, letter in ipairs(LETTERS) do
  at_least[letter] = {{ [ALIVE] = 0, [READY] = 0 }}
  below[letter], spared[letter] = {{ [ALIVE] = 0, [READY] = 0 }}, 0
end

local function look(stats)
  if stats.status:find("^UP") then
    return READY, 0
  end
  -- "* " before it: the next check is under way.
  -- From 502 on it is the proxy that answers.
  local answered = ANSWERED[stats.check_status:match("%w+$")] and (stats.check_code or 0) < 502
  return answered and ALIVE or SILENT, (stats.check_duration or 0) / 1000
end

local function note(letter, level, lasted, elapsed)
  for each, time in pairs(below[letter]) do
    if level >= each then
      at_least[letter][each], below[letter][each] = at_least[letter][each] + elapsed, 0
    else
      -- The first check that fails says when it began, had it ended just now: it did between two looks.
      at_least[letter][each], below[letter][each] = 0, math.max(time + elapsed, lasted + elapsed / 2)
    end
  end
end

local function worse(letter, level)
  for _, other in ipairs(LETTERS) do
    if at_least[other][level] >= BETTER and below[letter][level] >= WORSE then
      return true
    end
  end
  return false
end

local function etcd_goes_on(letter)
  local time = below[letter][READY]
  if time >= PATIENT then
    return false
  elseif time >= spared[letter] then
    -- A handshake: the kernel accepts connections for a frozen process, too.
    local socket = core.tcp()
    socket:settimeout(ANSWER)
    if not socket:connect_ssl(ETCD[letter], {etcd_port}) then
      socket:close()
      return false
    end
    socket:close()
    spared[letter] = time + AGAIN
  end
  return true
end

local function end_all(letter, servers)
  for _, server in ipairs(servers) do
    server:shut_sess()
  end
  core.Alert(("api-%s does not come back: connections to it are ended"):format(letter))
end

local function judge(letter, servers)
  local ready, alive = servers["api-" .. letter], servers["alive-" .. letter]
  local silent, unready = worse(letter, ALIVE), worse(letter, READY)
  if silent or unready then
    local open = ready:get_stats().scur + alive:get_stats().scur
    if open > 0 and (silent or not etcd_goes_on(letter)) then
      end_all(letter, {{ ready, alive }})
    end
  else
    spared[letter] = 0
  end
  if silent ~= alive:is_draining() then
    if silent then alive:set_drain() else alive:set_ready() end
  end
end

core.register_task(function()
  local last, all = core.now(), true
  while true do
    core.msleep(all and EVERY or CLOSER)
    local now, backend = core.now(), core.backends["api-servers"]
    local elapsed = math.min(now.sec - last.sec + (now.usec - last.usec) / 1000000, MOST)
    all = backend:get_stats().act == #LETTERS
    for _, letter in ipairs(LETTERS) do
      local level, lasted = READY, 0
      if not all then
        level, lasted = look(backend.servers["api-" .. letter]:get_stats())
      end
      note(letter, level, lasted, elapsed)
    end
    for _, letter in ipairs(LETTERS) do
      judge(letter, backend.servers)
    end
    last = now
  end
end)
"""

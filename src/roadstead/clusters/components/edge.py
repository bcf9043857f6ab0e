"""The edge: two HAProxy that share a port in front of the API servers. Source: HAProxy 2.6 configuration manual."""

from __future__ import annotations

from roadstead.clusters.components import facts
from roadstead.clusters.components.control import files
from roadstead.messages import desired

HOST = "edge"
HEALTH_PORT = 8440
"""Each proxy answers on loopback at this port plus its number: on the shared port either might."""
WATCH = "watch.lua"
"""The file by which each proxy watches the other."""


def name(number: int) -> str:
    """The unit's name."""
    return f"proxy-{number}"


def unit(plane: facts.ControlPlane, number: int, digests: facts.Digests) -> desired.Unit:
    """Proxy 1 or 2."""
    own = name(number)
    return desired.Unit(
        engine="system",
        component="haproxy",
        flags={"f": files.at(own, "haproxy.cfg")},
        files=files.files(digests, {"haproxy.cfg": configuration(plane, number), WATCH: watch(number)}, {}),
        ready=desired.TcpProbe(port=HEALTH_PORT + number),
        group=f"{plane.id}.edge",
        stop_timeout=5.0,
    )


def configuration(plane: facts.ControlPlane, number: int) -> str:
    """The text of haproxy.cfg.

    TLS goes through untouched. A dead API server is out after at most 1 s, and the connections to it are ended, so
    that clients come back to another one. Two processes may have one port: HAProxy listens with SO_REUSEPORT.
    """
    ca = files.at(name(number), "ca.pem")
    servers = "\n".join(
        f"  server api-{each.letter} {each.api}:{facts.API_PORT} check check-ssl verify required ca-file {ca} "
        "check-sni kubernetes verifyhost kubernetes inter 500ms fastinter 100ms downinter 250ms fall 2 rise 1 "
        "on-marked-down shutdown-sessions"
        for each in plane.members
    )
    return _TEXT.format(
        control=plane.endpoint.control,
        private=plane.endpoint.private,
        port=facts.API_PORT,
        health=HEALTH_PORT + number,
        watch=files.at(name(number), WATCH),
        servers=servers,
    )


def watch(number: int) -> str:
    """The text of watch.lua: one proxy ends the other when that is frozen.

    The kernel gives a frozen process its half of the new connections, and nothing closes those that it has: clients
    hang until it goes on, or dies. Its sibling needs no one else to see that; s6 then starts it again. A process that
    is dead refuses connections, and is left to s6. Source: HAProxy 2.6 Lua API; s6-supervise, `control` (k: SIGKILL).
    """
    other = 3 - number
    return _WATCH.format(port=HEALTH_PORT + other, control=f"/run/service/{name(other)}/supervise/control")


_TEXT = """\
global
  log stdout format raw local0 notice
  maxconn 8000
  nbthread 1
  lua-load {watch}

defaults
  log global
  mode tcp
  option dontlognull
  option clitcpka
  option srvtcpka
  option redispatch 1
  retries 2
  timeout connect 1s
  timeout check 700ms
  timeout client 1h
  timeout server 1h
  timeout client-fin 10s

frontend endpoint
  bind {control}:{port}
  bind {private}:{port}
  default_backend api-servers

frontend health
  bind 127.0.0.1:{health}
  mode http
  timeout client 5s
  monitor-uri /

backend api-servers
  balance leastconn
  option httpchk
  # `etcd` and `etcd-readiness` ask etcd the same, each at some cost for all of its members.
  http-check send meth GET uri /readyz?exclude=etcd ver HTTP/1.1 hdr Host kubernetes hdr Connection close
  http-check expect status 200
{servers}
"""

_WATCH = """\
local EVERY, TIMEOUT, MISSES, AFTERWARDS = 200, 0.5, 2, 3000

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

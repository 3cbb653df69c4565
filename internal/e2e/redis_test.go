package e2e

import (
	"strings"
	"testing"
)

func TestForRedis(t *testing.T) {
	t.Parallel()
	s := newGuarded(t, "peer", "redis-server", "redis-cli")
	var address, config string
	s.guard(t, &guarded{
		consumer: "redis",
		start: func(t *testing.T, printed string) (p *process) {
			t.Helper()
			config = printed
			onFreePorts(t, 1, func(free []string) error {
				address = free[0]
				host, port := hostPort(t, address)
				s.write(t, "redis.conf", []byte("bind "+host+"\nsave \"\"\nrepl-diskless-sync-delay 0\nloglevel verbose\n"+listenAt(t, config, "6379", port)))
				p = s.start(t, "redis-server redis.conf")
				return p.await("redis to be ready", func() bool { return strings.Contains(p.log(), "Ready to accept connections") })
			})
			return p
		},
		client: "redis",
		call: func(t *testing.T, c caller) output {
			host, port := hostPort(t, address)
			return s.typed(t, c.lines, host+" -p "+port, "")
		},
		answer:   "PONG",
		nobody:   "peer did not return a certificate",
		stranger: "certificate verify failed",
	})

	// Who replicates is a client, with the same certificate.
	t.Run("replica", func(t *testing.T) {
		onFreePorts(t, 1, func(free []string) error {
			host, port := hostPort(t, free[0])
			_, master := hostPort(t, address)
			s.write(t, "replica.conf", []byte("bind "+host+"\ndbfilename replica.rdb\nreplicaof "+host+" "+master+"\n"+listenAt(t, config, "6379", port)))
			p := s.start(t, "redis-server replica.conf")
			return p.await("redis to replicate", func() bool { return strings.Contains(p.log(), "MASTER <-> REPLICA sync: Finished with success") })
		})
	})
}

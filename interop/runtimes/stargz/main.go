// A snapshotter of containerd that reads layers lazily by stargz-snapshotter's own library: Debian packages that, but
// no program around it.
//
//	stargz ROOT SOCKET HOST
//
// Registry HOST is asked by plain HTTP. Nothing is fetched but what is read.
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/contrib/snapshotservice"
	"github.com/containerd/stargz-snapshotter/service"
	"github.com/containerd/stargz-snapshotter/service/resolver"
	"google.golang.org/grpc"
)

func serve(root, socket, host string) error {
	config := service.Config{
		ResolverConfig: service.ResolverConfig{Host: map[string]resolver.HostConfig{
			host: {Mirrors: []resolver.MirrorConfig{{Host: host, Insecure: true}}},
		}},
	}
	config.NoBackgroundFetch = true
	snapshotter, err := service.NewStargzSnapshotterService(context.Background(), root, &config)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	snapshotsapi.RegisterSnapshotsServer(server, snapshotservice.FromSnapshotter(snapshotter))
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	return server.Serve(listener)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: stargz ROOT SOCKET HOST")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// buckets is a CSI driver under the name of the one that GKE has for Cloud Storage, so that a chart's
// volumes are mounted here as they are written. Each volume is a gcsfuse of its own, as there.
//
//	buckets NODE GCSFUSE ENDPOINT
//
// ENDPOINT is a file with the address of the emulator that has the buckets.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const (
	driverName = "gcsfuse.csi.storage.gke.io"
	plugins    = "/var/lib/kubelet"
)

var (
	driverSocket   = filepath.Join(plugins, "plugins", driverName, "csi.sock")
	registerSocket = filepath.Join(plugins, "plugins_registry", driverName+"-reg.sock")
)

type driver struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	node   string
	mounts mounts
}

func (*driver) GetPluginInfo(
	context.Context, *csi.GetPluginInfoRequest,
) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: driverName, VendorVersion: "1"}, nil
}

func (*driver) GetPluginCapabilities(
	context.Context, *csi.GetPluginCapabilitiesRequest,
) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{}, nil
}

func (*driver) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func (d *driver) NodeGetInfo(
	context.Context, *csi.NodeGetInfoRequest,
) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.node}, nil
}

func (*driver) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

// NodePublishVolume mounts a bucket for one pod. A volume inside of a pod names it in its attributes, a
// PersistentVolume by its handle.
func (d *driver) NodePublishVolume(
	_ context.Context, asked *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	bucket, ok := asked.GetVolumeContext()["bucketName"]
	if !ok {
		bucket = asked.GetVolumeId()
	}
	options := asked.GetVolumeContext()["mountOptions"]
	flags := asked.GetVolumeCapability().GetMount().GetMountFlags()
	err := d.mounts.mount(bucket, asked.GetTargetPath(), asked.GetReadonly(), append(flags, options))
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (d *driver) NodeUnpublishVolume(
	_ context.Context, asked *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := d.mounts.unmount(asked.GetTargetPath()); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// register tells the kubelet, which looks for sockets in a folder, where the driver is.
type register struct {
	registration.UnsafeRegistrationServer
}

func (register) GetInfo(
	context.Context, *registration.InfoRequest,
) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              driverName,
		Endpoint:          driverSocket,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (register) NotifyRegistrationStatus(
	_ context.Context, told *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	log.Printf("registered: %v %s", told.GetPluginRegistered(), told.GetError())
	return &registration.RegistrationStatusResponse{}, nil
}

func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		return nil, err
	}
	os.Remove(socket)
	return net.Listen("unix", socket)
}

func serve(d *driver) error {
	serving := make(chan error, 2)
	start := func(socket string, server *grpc.Server) error {
		listener, err := listen(socket)
		if err == nil {
			go func() { serving <- server.Serve(listener) }()
		}
		return err
	}
	volumes := grpc.NewServer()
	csi.RegisterIdentityServer(volumes, d)
	csi.RegisterNodeServer(volumes, d)
	if err := start(driverSocket, volumes); err != nil {
		return err
	}
	// After the driver, which the kubelet calls as soon as it sees this one.
	kubelet := grpc.NewServer()
	registration.RegisterRegistrationServer(kubelet, register{})
	if err := start(registerSocket, kubelet); err != nil {
		return err
	}
	return <-serving
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: buckets NODE GCSFUSE ENDPOINT")
		os.Exit(2)
	}
	d := &driver{node: os.Args[1], mounts: mounts{gcsfuse: os.Args[2], endpoint: os.Args[3]}}
	log.Fatal(serve(d))
}

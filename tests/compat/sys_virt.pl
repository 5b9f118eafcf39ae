#!/usr/bin/perl
# What a management program in Perl does over a day, by Sys::Virt: sys_virt.pl URI. Speaks TAP; clients_test.py runs it.
use strict;
use warnings;
use Test::More;
use Sys::Virt;
use Sys::Virt::Domain;
use Sys::Virt::Error;
use Sys::Virt::Event;

my $uri = shift // "qemu:///system";
Sys::Virt::Event::register_default();
my $conn = Sys::Virt->new(uri => $uri);
use constant OPERATION_DENIED => 29; # has no name in the binding
my $images = "/var/lib/libvirt/images";

sub xml {
    my ($name, %with) = @_;
    my $devices = $with{devices} // "";
    my $uuid = $with{uuid} ? "<uuid>$with{uuid}</uuid>" : "";
    return "<domain type='qemu'><name>$name</name>$uuid<memory unit='MiB'>32</memory><vcpu>2</vcpu>"
      . "<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>"
      . "<devices><serial type='pty'/><console type='pty'/>$devices</devices></domain>";
}

# The code with which a piece of code is refused; 0: it is not.
sub refusal(&) {
    my ($code) = @_;
    return eval { $code->(); 1 } ? 0 : ref $@ ? $@->code : "no error of libvirt: $@";
}

sub names { return sort map { $_->get_name } @_ }

subtest "the connection" => sub {
    is($conn->get_uri, $uri, "uri");
    is($conn->get_type, "QEMU", "type");
    cmp_ok($conn->get_version, ">", 7_000_000, "version of QEMU");
    cmp_ok($conn->get_library_version, ">=", 9_000_000, "version of libvirt");
    ok($conn->is_alive && $conn->is_secure, "alive and local");
    like($conn->get_capabilities, qr/<guest>/, "capabilities");
    my $info = $conn->get_node_info;
    cmp_ok($info->{cpus}, ">=", 1, "CPUs");
    cmp_ok($info->{memory}, ">", 1024, "memory");
    my ($map) = $conn->get_node_cpu_map;
    ok(defined $map, "CPU map");
    cmp_ok($conn->get_node_free_memory, ">", 0, "free memory");
    cmp_ok($conn->get_max_vcpus("qemu"), ">=", 1, "largest guest");
    like($conn->get_domain_capabilities(undef, "x86_64", undef, "qemu"), qr/<domainCapabilities>/, "domain capabilities");
    is(refusal { Sys::Virt->new(uri => "qemu:///nonsense") }, Sys::Virt::Error::ERR_INTERNAL_ERROR, "wrong path");
};

subtest "a persistent domain from birth to death" => sub {
    my $dom = $conn->define_domain(xml("steady"));
    ok(!$dom->is_active && $dom->is_persistent, "defined");
    is($dom->get_id, -1, "no id");
    is(($dom->get_state)[0], Sys::Virt::Domain::STATE_SHUTOFF, "shut off");
    is(refusal { $dom->suspend }, Sys::Virt::Error::ERR_OPERATION_INVALID, "cannot be paused");
    is(refusal { $dom->destroy }, Sys::Virt::Error::ERR_OPERATION_INVALID, "cannot be destroyed");
    $dom->create;
    cmp_ok($dom->get_id, ">", 0, "has an id");
    is(refusal { $dom->create }, Sys::Virt::Error::ERR_OPERATION_INVALID, "cannot be started twice");
    is_deeply([$dom->get_state], [Sys::Virt::Domain::STATE_RUNNING, Sys::Virt::Domain::STATE_RUNNING_BOOTED], "running, booted");
    $dom->suspend;
    is_deeply([$dom->get_state], [Sys::Virt::Domain::STATE_PAUSED, Sys::Virt::Domain::STATE_PAUSED_USER], "paused by the user");
    $dom->resume;
    is_deeply([$dom->get_state], [Sys::Virt::Domain::STATE_RUNNING, Sys::Virt::Domain::STATE_RUNNING_UNPAUSED], "running, unpaused");
    $dom->reset;
    $dom->undefine;
    ok($dom->is_active && !$dom->is_persistent, "undefined while running: transient");
    is(refusal { $dom->set_autostart(1) }, Sys::Virt::Error::ERR_OPERATION_INVALID, "no autostart of a transient one");
    $conn->define_domain(xml("steady", uuid => $dom->get_uuid_string));
    ok($dom->is_persistent, "persistent again");
    $dom->destroy;
    is_deeply([$dom->get_state], [Sys::Virt::Domain::STATE_SHUTOFF, Sys::Virt::Domain::STATE_SHUTOFF_DESTROYED], "destroyed");
    $dom->set_autostart(1);
    ok($dom->get_autostart, "autostart");
    $dom->undefine;
    is(refusal { $conn->get_domain_by_name("steady") }, Sys::Virt::Error::ERR_NO_DOMAIN, "gone");
    is(refusal { $dom->get_info }, Sys::Virt::Error::ERR_NO_DOMAIN, "what is held of it, too");
};

subtest "lists and ways to find" => sub {
    my $up = $conn->create_domain(xml("up"));
    my $down = $conn->define_domain(xml("down"));
    is_deeply([names($conn->list_all_domains)], ["down", "up"], "all");
    is_deeply([names($conn->list_all_domains(Sys::Virt::Domain::LIST_ACTIVE))], ["up"], "active");
    is_deeply([names($conn->list_all_domains(Sys::Virt::Domain::LIST_PERSISTENT))], ["down"], "persistent");
    is($conn->num_of_domains, 1, "count of running ones");
    is_deeply([names($conn->list_domains)], ["up"], "ids");
    is_deeply([names($conn->list_defined_domains)], ["down"], "defined names");
    is($conn->get_domain_by_id($up->get_id)->get_name, "up", "by id");
    is($conn->get_domain_by_uuid($up->get_uuid)->get_name, "up", "by raw UUID");
    is($conn->get_domain_by_uuid($down->get_uuid_string)->get_name, "down", "by UUID");
    is(refusal { $conn->get_domain_by_id(99999) }, Sys::Virt::Error::ERR_NO_DOMAIN, "no such id");
    is(refusal { $conn->define_domain(xml("up", uuid => $down->get_uuid_string)) }, Sys::Virt::Error::ERR_OPERATION_FAILED, "another's UUID");
    is(refusal { $conn->create_domain(xml("up")) }, Sys::Virt::Error::ERR_OPERATION_FAILED, "another's name");
    is(refusal { $conn->define_domain("<domain") }, Sys::Virt::Error::ERR_XML_DETAIL, "broken XML");
    $up->destroy;
    is(refusal { $conn->get_domain_by_name("up") }, Sys::Virt::Error::ERR_NO_DOMAIN, "a transient one goes with its end");
    $down->undefine;
};

subtest "flags of creation" => sub {
    my $dom = $conn->create_domain(xml("held"), Sys::Virt::Domain::START_PAUSED);
    is(($dom->get_state)[0], Sys::Virt::Domain::STATE_PAUSED, "paused");
    $dom->resume;
    $dom->destroy;
    my $other = Sys::Virt->new(uri => $uri);
    $other->create_domain(xml("bound"), Sys::Virt::Domain::START_AUTODESTROY);
    ok($conn->get_domain_by_name("bound")->is_active, "runs as long as its maker is connected");
    undef $other;
    my $gone = 0;
    for (1 .. 600) {
        last if $gone = refusal { $conn->get_domain_by_name("bound") };
        select undef, undef, undef, 0.05;
    }
    is($gone, Sys::Virt::Error::ERR_NO_DOMAIN, "and no longer");
};

subtest "events" => sub {
    my @seen;
    my $id = $conn->domain_event_register_any(undef, Sys::Virt::Domain::EVENT_ID_LIFECYCLE,
        sub { my (undef, $dom, $event, $detail) = @_; push @seen, [$dom->get_name, $event, $detail] });
    my $dom = $conn->define_domain(xml("told"));
    $dom->create;
    $dom->suspend;
    $dom->resume;
    $dom->destroy;
    $dom->undefine;
    my $timer = Sys::Virt::Event::add_timeout(50, sub { });
    my $end = time + 60;
    Sys::Virt::Event::run_default() while time < $end && !grep { $_->[1] == Sys::Virt::Domain::EVENT_UNDEFINED } @seen;
    Sys::Virt::Event::remove_timeout($timer);
    $conn->domain_event_deregister_any($id);
    # QEMU may tell of its own end before it is over
    is_deeply([grep { $_->[0] eq "told" && $_->[1] != Sys::Virt::Domain::EVENT_SHUTDOWN } @seen],
        [["told", Sys::Virt::Domain::EVENT_DEFINED, Sys::Virt::Domain::EVENT_DEFINED_ADDED],
         ["told", Sys::Virt::Domain::EVENT_RESUMED, Sys::Virt::Domain::EVENT_RESUMED_UNPAUSED],
         ["told", Sys::Virt::Domain::EVENT_STARTED, Sys::Virt::Domain::EVENT_STARTED_BOOTED],
         ["told", Sys::Virt::Domain::EVENT_SUSPENDED, Sys::Virt::Domain::EVENT_SUSPENDED_PAUSED],
         ["told", Sys::Virt::Domain::EVENT_RESUMED, Sys::Virt::Domain::EVENT_RESUMED_UNPAUSED],
         ["told", Sys::Virt::Domain::EVENT_STOPPED, Sys::Virt::Domain::EVENT_STOPPED_DESTROYED],
         ["told", Sys::Virt::Domain::EVENT_UNDEFINED, Sys::Virt::Domain::EVENT_UNDEFINED_REMOVED]], "the whole story, in order")
      or diag explain \@seen;
};

subtest "devices that come and go" => sub {
    system("qemu-img", "create", "-q", "-f", "raw", "$images/plug.img", "1M");
    my $disk = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$images/plug.img'/><target dev='vdb' bus='virtio'/></disk>";
    my $dom = $conn->define_domain(xml("plugged"));
    $dom->attach_device($disk, Sys::Virt::Domain::DEVICE_MODIFY_CONFIG);
    like($dom->get_xml_description, qr/plug\.img/, "in the definition");
    is(refusal { $dom->attach_device($disk, Sys::Virt::Domain::DEVICE_MODIFY_CONFIG) }, Sys::Virt::Error::ERR_OPERATION_INVALID, "not twice");
    $dom->detach_device($disk, Sys::Virt::Domain::DEVICE_MODIFY_CONFIG);
    $dom->create;
    $dom->attach_device($disk);
    like($dom->get_xml_description, qr/plug\.img/, "in the running guest");
    unlike($dom->get_xml_description(Sys::Virt::Domain::XML_INACTIVE), qr/plug\.img/, "not in the definition");
    my $info = $dom->get_block_info("vdb");
    is($info->{capacity}, 1 << 20, "its size");
    ok(defined $dom->block_stats("vdb")->{rd_bytes}, "its figures");
    is(refusal { $dom->attach_device("<disk") }, Sys::Virt::Error::ERR_XML_DETAIL, "broken XML");
    $dom->destroy;
    $dom->undefine;
    unlink "$images/plug.img";
};

subtest "memory and CPUs" => sub {
    my $dom = $conn->define_domain(xml("sized"));
    is($dom->get_max_memory, 32 * 1024, "maximum");
    $dom->set_max_memory(64 * 1024);
    $dom->set_memory(48 * 1024, Sys::Virt::Domain::MEM_CONFIG);
    is($dom->get_info->{memory}, 48 * 1024, "current");
    is($dom->get_vcpus(Sys::Virt::Domain::VCPU_CONFIG), 2, "CPUs");
    $dom->set_vcpus(4, Sys::Virt::Domain::VCPU_CONFIG | Sys::Virt::Domain::VCPU_MAXIMUM);
    is($dom->get_vcpus(Sys::Virt::Domain::VCPU_CONFIG | Sys::Virt::Domain::VCPU_MAXIMUM), 4, "more of them");
    $dom->pin_vcpu(0, pack("C", 1), Sys::Virt::Domain::AFFECT_CONFIG);
    my @pins = $dom->get_vcpu_info(Sys::Virt::Domain::AFFECT_CONFIG);
    is(unpack("b*", $pins[0]->{affinity}) =~ tr/1//, 1, "pinned to one");
    is($dom->get_scheduler_type, "posix", "scheduler");
    is(refusal { $dom->get_scheduler_parameters(Sys::Virt::Domain::AFFECT_LIVE) }, Sys::Virt::Error::ERR_OPERATION_INVALID, "not running");
    $dom->create;
    my ($first) = $dom->get_vcpu_info;
    is($first->{number}, 0, "a running CPU");
    my @stats = $conn->get_all_domain_stats(Sys::Virt::Domain::STATS_STATE | Sys::Virt::Domain::STATS_VCPU);
    is($stats[0]->{data}->{"state.state"}, Sys::Virt::Domain::STATE_RUNNING, "bulk figures");
    $dom->destroy;
    $dom->undefine;
};

subtest "words about a domain" => sub {
    my $dom = $conn->define_domain(xml("described"));
    $dom->set_metadata(Sys::Virt::Domain::METADATA_TITLE, "A title", undef, undef, Sys::Virt::Domain::AFFECT_CONFIG);
    is($dom->get_metadata(Sys::Virt::Domain::METADATA_TITLE, undef), "A title", "title");
    $dom->set_metadata(Sys::Virt::Domain::METADATA_ELEMENT, "<a b='1'/>", "k", "http://example.com/k", Sys::Virt::Domain::AFFECT_CONFIG);
    like($dom->get_metadata(Sys::Virt::Domain::METADATA_ELEMENT, "http://example.com/k"), qr{<a b="1"/>}, "an element");
    is(refusal { $dom->get_metadata(Sys::Virt::Domain::METADATA_ELEMENT, "http://example.com/x") }, Sys::Virt::Error::ERR_NO_DOMAIN_METADATA, "none");
    $dom->rename("renamed");
    is($conn->get_domain_by_name("renamed")->get_uuid_string, $dom->get_uuid_string, "another name");
    $conn->get_domain_by_name("renamed")->undefine;
};

subtest "saved, restored, dumped" => sub {
    my $dom = $conn->define_domain(xml("saved"));
    $dom->create;
    $dom->managed_save;
    ok($dom->has_managed_save_image, "a managed save");
    is_deeply([$dom->get_state], [Sys::Virt::Domain::STATE_SHUTOFF, Sys::Virt::Domain::STATE_SHUTOFF_SAVED], "saved");
    is(refusal { $dom->undefine }, Sys::Virt::Error::ERR_OPERATION_INVALID, "not undefined with it");
    $dom->create;
    is_deeply([$dom->get_state], [Sys::Virt::Domain::STATE_RUNNING, Sys::Virt::Domain::STATE_RUNNING_RESTORED], "restored");
    my $file = "/var/lib/libvirt/qemu/save/by-hand";
    $dom->save($file);
    like($conn->get_save_image_xml_description($file), qr/<name>saved</, "its document");
    $conn->restore_domain($file);
    ok($conn->get_domain_by_name("saved")->is_active, "restored by hand");
    unlink $file;
    $conn->get_domain_by_name("saved")->destroy;
    $dom->undefine;
};

subtest "snapshots" => sub {
    system("qemu-img", "create", "-q", "-f", "qcow2", "$images/snap.qcow2", "1M");
    my $dom = $conn->define_domain(xml("shot", devices =>
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$images/snap.qcow2'/><target dev='vda' bus='virtio'/></disk>"));
    ok(!$dom->has_current_snapshot, "none");
    my $first = $dom->create_snapshot("<domainsnapshot><name>first</name></domainsnapshot>");
    my $second = $dom->create_snapshot("<domainsnapshot><name>second</name></domainsnapshot>");
    is($dom->current_snapshot->get_name, "second", "current");
    is($second->get_parent->get_name, "first", "parent");
    is_deeply([sort map { $_->get_name } $dom->list_all_snapshots], ["first", "second"], "all");
    is_deeply([map { $_->get_name } $first->list_all_children], ["second"], "children");
    $first->revert_to;
    ok($first->is_current && $first->has_metadata, "reverted");
    is(refusal { $dom->undefine }, Sys::Virt::Error::ERR_OPERATION_INVALID, "not undefined with them");
    $second->delete;
    $first->delete;
    is($dom->num_of_snapshots, 0, "deleted");
    $dom->undefine;
    unlink "$images/snap.qcow2";
};

subtest "networks" => sub {
    my $net = $conn->define_network("<network><name>pearl</name><bridge name='virbr9'/><ip address='192.0.2.129' netmask='255.255.255.128'/></network>");
    ok(!$net->is_active && $net->is_persistent, "defined");
    is($net->get_bridge_name, "virbr9", "bridge");
    $net->create;
    ok($net->is_active, "active");
    is(refusal { $net->create }, Sys::Virt::Error::ERR_OPERATION_INVALID, "not twice");
    is(scalar(grep { $_->get_name eq "pearl" } $conn->list_all_networks(Sys::Virt::Network::LIST_ACTIVE)), 1, "listed");
    $net->set_autostart(1);
    ok($net->get_autostart, "autostart");
    $net->destroy;
    $net->undefine;
    is(refusal { $conn->get_network_by_name("pearl") }, Sys::Virt::Error::ERR_NO_NETWORK, "gone");
};

subtest "storage" => sub {
    my $pool = $conn->define_storage_pool("<pool type='dir'><name>shell</name><target><path>/var/lib/libvirt/shell</path></target></pool>");
    $pool->build;
    $pool->create;
    is($pool->get_info->{state}, Sys::Virt::StoragePool::STATE_RUNNING, "running");
    my $vol = $pool->create_volume("<volume><name>grain</name><capacity unit='MiB'>2</capacity><target><format type='raw'/></target></volume>");
    is($vol->get_info->{capacity}, 2 << 20, "a volume");
    is(refusal { $pool->create_volume("<volume><name>grain</name><capacity>1</capacity></volume>") }, Sys::Virt::Error::ERR_STORAGE_VOL_EXIST, "not twice");
    my $copy = $pool->clone_volume("<volume><name>copy</name><capacity unit='MiB'>2</capacity><target><format type='raw'/></target></volume>", $vol);
    is_deeply([sort map { $_->get_name } $pool->list_all_volumes], ["copy", "grain"], "listed");
    $vol->resize(4 << 20);
    $vol->wipe;
    is($conn->get_storage_volume_by_path($copy->get_path)->get_name, "copy", "by path");
    $_->delete for $vol, $copy;
    $pool->destroy;
    $pool->delete;
    $pool->undefine;
    is(refusal { $conn->get_storage_pool_by_name("shell") }, Sys::Virt::Error::ERR_NO_STORAGE_POOL, "gone");
};

subtest "secrets, filters, devices" => sub {
    my $secret = $conn->define_secret("<secret ephemeral='no' private='no'><usage type='volume'><volume>/perl</volume></usage></secret>");
    $secret->set_value("pearls");
    is($secret->get_value, "pearls", "a secret");
    is($conn->get_secret_by_usage(Sys::Virt::Secret::USAGE_TYPE_VOLUME, "/perl")->get_uuid_string, $secret->get_uuid_string, "by usage");
    $secret->undefine;
    my $filter = $conn->define_nwfilter("<filter name='perl' chain='root'><rule action='accept' direction='inout' priority='500'/></filter>");
    is($conn->get_nwfilter_by_name("perl")->get_uuid_string, $filter->get_uuid_string, "a filter");
    $filter->undefine;
    like($conn->get_node_device_by_name("computer")->get_xml_description, qr/<capability type='system'>/, "the computer");
};

subtest "read only" => sub {
    my $watcher = Sys::Virt->new(uri => $uri, readonly => 1);
    my $dom = $conn->define_domain(xml("watched"));
    my $seen = $watcher->get_domain_by_name("watched");
    like($seen->get_xml_description, qr/watched/, "looking");
    is(refusal { $seen->create }, OPERATION_DENIED, "not starting");
    is(refusal { $seen->undefine }, OPERATION_DENIED, "not undefining");
    is(refusal { $seen->get_xml_description(Sys::Virt::Domain::XML_SECURE) }, OPERATION_DENIED, "no secrets");
    $dom->undefine;
};

done_testing();

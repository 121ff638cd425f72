/*
 * The physical limit beside which `npm run bench` puts tscompose: what the kernel alone takes for N containers on one bridge.
 *
 *     floor ROOTFS FOLDER N        prints {"upMs": …, "downMs": …}
 *
 * Up: a bridge; then for each container five new namespaces, an overlay over ROOTFS (upper and work directories below FOLDER), /proc,
 * /sys, /dev with its devices, devpts, shm and mqueue, pivot_root, a veth pair whose far end is created in the container's
 * namespace, an address and a default route, and execve of `sleep`. Down: SIGKILL, waiting, removing the bridge, until no link is left.
 * Nothing is written down, checked, logged, limited (no cgroup, no seccomp filter, no capability is dropped) or supervised.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONTAINERS 250
static const char bridge_name[] = "tscfloor";

struct container {
    pid_t pid;
    int gate; /* written once its link is there */
    int executing; /* end of file once execve succeeded */
};

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void must(bool holds, const char *what)
{
    if (!holds)
        die(what);
}

static double now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* ------------------------------------------------------------------ rtnetlink(7) */

struct request {
    struct nlmsghdr header;
    char body[512];
};

static void *append(struct request *request, const void *data, size_t size)
{
    void *place = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);
    if (data)
        memcpy(place, data, size);
    request->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(request->header.nlmsg_len) + size);
    return place;
}

static struct rtattr *attribute(struct request *request, unsigned short type, const void *data, size_t size)
{
    struct rtattr head = {.rta_len = (unsigned short)RTA_LENGTH(size), .rta_type = type};
    struct rtattr *place = append(request, &head, sizeof head);
    append(request, data, size);
    return place;
}

static struct rtattr *nest(struct request *request, unsigned short type)
{
    return attribute(request, type, NULL, 0);
}

static void close_nest(struct request *request, struct rtattr *nested)
{
    request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len);
    nested->rta_len = (unsigned short)((char *)request + request->header.nlmsg_len - (char *)nested);
}

static struct request begin(uint16_t type, uint16_t flags)
{
    return (struct request){.header = {.nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)}};
}

static void ask(int socket, struct request *request, const char *what)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[1024];
    } answer;
    must(send(socket, request, request->header.nlmsg_len, 0) >= 0, what);
    must(recv(socket, &answer, sizeof answer, 0) >= 0, what);
    errno = -answer.error.error;
    must(errno == 0, what);
}

static int open_netlink(void)
{
    int socket_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    must(socket_fd >= 0, "netlink");
    return socket_fd;
}

static void make_bridge(int netlink)
{
    struct request request = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    append(&request, &(struct ifinfomsg){.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, sizeof(struct ifinfomsg));
    attribute(&request, IFLA_IFNAME, bridge_name, sizeof bridge_name);
    struct rtattr *info = nest(&request, IFLA_LINKINFO);
    attribute(&request, IFLA_INFO_KIND, "bridge", 6);
    close_nest(&request, info);
    ask(netlink, &request, "bridge");
}

/* One request makes both ends: ours on the bridge and up, theirs in the namespace of `pid`. */
static void make_veth(int netlink, int number, pid_t pid, unsigned bridge)
{
    struct request request = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    char name[IFNAMSIZ];
    append(&request, &(struct ifinfomsg){.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, sizeof(struct ifinfomsg));
    attribute(&request, IFLA_IFNAME, name, (size_t)snprintf(name, sizeof name, "tscf%d", number) + 1);
    attribute(&request, IFLA_MASTER, &bridge, sizeof bridge);
    struct rtattr *info = nest(&request, IFLA_LINKINFO);
    attribute(&request, IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = nest(&request, IFLA_INFO_DATA);
    struct rtattr *peer = nest(&request, VETH_INFO_PEER);
    append(&request, &(struct ifinfomsg){0}, sizeof(struct ifinfomsg));
    attribute(&request, IFLA_IFNAME, "eth0", 5);
    attribute(&request, IFLA_NET_NS_PID, &pid, sizeof pid);
    close_nest(&request, peer);
    close_nest(&request, data);
    close_nest(&request, info);
    ask(netlink, &request, "veth");
}

static void link_up(int netlink, const char *name)
{
    struct request request = begin(RTM_NEWLINK, 0);
    append(&request, &(struct ifinfomsg){.ifi_index = (int)if_nametoindex(name), .ifi_flags = IFF_UP, .ifi_change = IFF_UP}, sizeof(struct ifinfomsg));
    ask(netlink, &request, "link up");
}

static void configure_network(int number)
{
    int netlink = open_netlink();
    struct in_addr address = {htonl(0xc6130000u + 2 + (uint32_t)number)}; /* 198.19.0.0/16: RFC 2544 */
    struct in_addr gateway = {htonl(0xc6130001u)};
    struct request request = begin(RTM_NEWADDR, NLM_F_CREATE);
    append(&request, &(struct ifaddrmsg){.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = if_nametoindex("eth0")}, sizeof(struct ifaddrmsg));
    attribute(&request, IFA_LOCAL, &address, sizeof address);
    attribute(&request, IFA_ADDRESS, &address, sizeof address);
    ask(netlink, &request, "address");
    link_up(netlink, "lo");
    link_up(netlink, "eth0");
    request = begin(RTM_NEWROUTE, NLM_F_CREATE);
    append(&request, &(struct rtmsg){.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST}, sizeof(struct rtmsg));
    attribute(&request, RTA_GATEWAY, &gateway, sizeof gateway);
    ask(netlink, &request, "route");
    close(netlink);
}

/* ------------------------------------------------------------------ one container */

static void mount_at(const char *type, const char *target, unsigned long flags, const char *data)
{
    mkdir(target, 0755);
    must(mount(type, target, type, flags, data) == 0, target);
}

static void make_devices(void)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } devices[] = {{"dev/null", 1, 3}, {"dev/zero", 1, 5}, {"dev/full", 1, 7}, {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
    for (size_t at = 0; at < sizeof devices / sizeof *devices; at++)
        must(mknod(devices[at].path, S_IFCHR | 0666, makedev(devices[at].major, devices[at].minor)) == 0, devices[at].path);
}

static void enter_root(const char *rootfs, const char *folder, int number)
{
    char upper[512], work[512], root[512], options[2048];
    snprintf(upper, sizeof upper, "%s/%d/upper", folder, number);
    snprintf(work, sizeof work, "%s/%d/work", folder, number);
    snprintf(root, sizeof root, "%s/%d/root", folder, number);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", rootfs, upper, work);
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
    must(mount("overlay", root, "overlay", 0, options) == 0, "overlay");
    must(chdir(root) == 0, root);
    mount_at("proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_at("sysfs", "sys", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_at("tmpfs", "dev", MS_NOSUID, "size=64k,mode=755");
    make_devices();
    mount_at("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
    mount_at("tmpfs", "dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64m");
    mount_at("mqueue", "dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    must(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
    must(umount2(".", MNT_DETACH) == 0, "umount of the old root");
    must(chdir("/") == 0, "chdir");
}

static _Noreturn void be_container(const char *rootfs, const char *folder, int number, int gate)
{
    char word;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* none may outlive a run that failed */
    enter_root(rootfs, folder, number);
    must(read(gate, &word, 1) == 1, "gate");
    configure_network(number);
    execl("/bin/sleep", "sleep", "infinity", (char *)NULL);
    die("execve");
    _exit(127);
}

static struct container start(const char *rootfs, const char *folder, int number)
{
    int gate[2], executing[2];
    must(pipe2(gate, O_CLOEXEC) == 0 && pipe2(executing, O_CLOEXEC) == 0, "pipe");
    long pid = syscall(SYS_clone, SIGCHLD | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET, NULL, NULL, NULL, NULL);
    must(pid >= 0, "clone");
    if (pid == 0)
        be_container(rootfs, folder, number, gate[0]);
    close(gate[0]);
    close(executing[1]);
    return (struct container){.pid = (pid_t)pid, .gate = gate[1], .executing = executing[0]};
}

/* ------------------------------------------------------------------ all of them */

static void make_folders(const char *folder, int count)
{
    static const char *const names[] = {"", "/upper", "/work", "/root"};
    char path[512];
    for (int number = 0; number < count; number++)
        for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
            snprintf(path, sizeof path, "%s/%d%s", folder, number, names[at]);
            must(mkdir(path, 0755) == 0 || errno == EEXIST, path);
        }
}

static void up(struct container *containers, int count, const char *rootfs, const char *folder, int netlink)
{
    make_folders(folder, count);
    make_bridge(netlink);
    unsigned bridge = if_nametoindex(bridge_name);
    for (int number = 0; number < count; number++)
        containers[number] = start(rootfs, folder, number);
    for (int number = 0; number < count; number++) {
        make_veth(netlink, number, containers[number].pid, bridge);
        must(write(containers[number].gate, "", 1) == 1, "gate");
    }
    char word;
    for (int number = 0; number < count; number++)
        must(read(containers[number].executing, &word, 1) == 0, "execve");
}

static bool has_links(int count)
{
    char name[IFNAMSIZ];
    for (int number = 0; number < count; number++) {
        snprintf(name, sizeof name, "tscf%d", number);
        if (if_nametoindex(name) != 0)
            return true;
    }
    return false;
}

static void down(struct container *containers, int count, int netlink)
{
    for (int number = 0; number < count; number++)
        kill(containers[number].pid, SIGKILL);
    for (int number = 0; number < count; number++)
        waitpid(containers[number].pid, NULL, 0);
    struct request request = begin(RTM_DELLINK, 0);
    append(&request, &(struct ifinfomsg){.ifi_index = (int)if_nametoindex(bridge_name)}, sizeof(struct ifinfomsg));
    ask(netlink, &request, "removing the bridge");
    while (has_links(count)) /* a namespace lets go of its links a moment after its last process */
        usleep(500);
}

int main(int count, char **words)
{
    static struct container containers[MOST_CONTAINERS];
    int number = count == 4 ? atoi(words[3]) : 0;
    if (number < 1 || number > MOST_CONTAINERS) {
        fprintf(stderr, "usage: floor ROOTFS FOLDER COUNT (1 to %d)\n", MOST_CONTAINERS);
        return 2;
    }
    int netlink = open_netlink();
    double begun = now_ms();
    up(containers, number, words[1], words[2], netlink);
    double running = now_ms();
    down(containers, number, netlink);
    printf("{\"upMs\": %.1f, \"downMs\": %.1f}\n", running - begun, now_ms() - running);
    return 0;
}

#!/usr/bin/env bash
# A real SLURM of one node, this machine, to test job arrays and Dask with: nothing is installed
# and no system service is touched. For Debian 12 and the like.
#
#   scripts/slurm_single_node.sh start FOLDER    download, configure, start
#   source FOLDER/env                            then sbatch, squeue, ... are SLURM's
#   scripts/slurm_single_node.sh stop FOLDER     stop its two daemons
#
# Without munge everybody on this machine is trusted: never use it for anything but tests.
set -euo pipefail

action=${1:?start or stop}
folder=$(realpath -m "${2:?a folder}")
packages="slurmctld slurmd slurm-client slurm-wlm-basic-plugins libmunge2 libhwloc15"

stop() {
    for name in slurmd slurmctld; do
        [ -f "$folder/$name.pid" ] && kill "$(cat "$folder/$name.pid")" 2>/dev/null || true
        rm -f "$folder/$name.pid"
    done
}

start() {
    mkdir -p "$folder"/{packages,root,state,spool,log}
    (
        cd "$folder/packages"
        # shellcheck disable=SC2086
        ls ./*.deb >/dev/null 2>&1 || apt-get download $packages
        for package in *.deb; do dpkg -x "$package" "$folder/root"; done
    )
    local usr="$folder/root/usr" host cores memory libraries
    host=$(hostname -s)
    cores=$(env -u OMP_NUM_THREADS nproc) # which is no number of cores
    memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
    libraries=$(find "$folder/root" -name 'libmunge.so*' -printf '%h\n' | head -1)
    cat >"$folder/slurm.conf" <<CONF
ClusterName=cryomae_test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
PluginDir=$(find "$usr" -name 'auth_none.so' -printf '%h\n' | head -1)
SchedulerParameters=sched_interval=2
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    cat >"$folder/env" <<ENV
export PATH="$usr/bin:$usr/sbin:\$PATH"
export LD_LIBRARY_PATH="$libraries:$(find "$usr" -name 'libslurmfull*.so' -printf '%h\n' | head -1)\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
export SLURM_CONF="$folder/slurm.conf"
ENV
    # shellcheck disable=SC1091
    source "$folder/env"
    stop
    slurmctld-wlm -c
    slurmd-wlm -N "$host" -d "$usr/sbin/slurmstepd-wlm"
    for _ in $(seq 60); do
        if sinfo -h -o %T 2>/dev/null | grep -q idle; then
            echo "SLURM runs; now: source $folder/env"
            return
        fi
        sleep 0.5
    done
    echo "SLURM does not start; see $folder/log" >&2
    tail -5 "$folder"/log/*.log >&2
    return 1
}

case $action in
start | stop) "$action" ;;
*)
    echo "start or stop, not $action" >&2
    exit 2
    ;;
esac

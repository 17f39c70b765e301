#!/usr/bin/env bash
# A Slurm cluster on this machine alone, for tests and for trying `sweep submit`: one controller, several nodes.
#
#   tests/slurm/cluster.sh start FOLDER [NODES]     start it; its state and its own processes' numbers are in FOLDER
#   . FOLDER/environment                            let sbatch, squeue and scontrol of this shell speak to it
#   tests/slurm/cluster.sh stop FOLDER              end the processes that `start` began, and no others
#
# It needs `apt-get install slurm-wlm munge` and root: the controller and all nodes run as root, each node is a slurmd of
# its own name and port on the loopback. Several clusters may run at once, each in a folder of its own. There is no
# accounting (no slurmdbd), as on many small clusters; `SWEEP_SLURM_MAX_ARRAY` sets MaxArraySize (1001).
set -euo pipefail

command=${1:-}
folder=${2:-}
nodes=${3:-2}
if [[ -z $folder || ($command != start && $command != stop) ]]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
fi

stop() {
    # Nodes first, so that none complains of a controller that is gone. Numbers were written by `start`; a number that
    # was given to another program since is left alone.
    local file pid
    for file in "$folder"/pids/slurmd-* "$folder"/pids/slurmctld "$folder"/pids/munged; do
        [[ -f $file ]] || continue
        pid=$(<"$file")
        if grep -qa "$folder" "/proc/$pid/cmdline" 2>/dev/null; then
            kill "$pid" 2>/dev/null || true
            for _ in $(seq 100); do
                [[ -d /proc/$pid ]] || break
                sleep 0.05
            done
            [[ -d /proc/$pid ]] && kill -9 "$pid" 2>/dev/null || true
        fi
        rm -f "$file"
    done
}

free_port() {
    # The kernel picks a free one; nobody else takes it in the moments until it is used.
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
    for program in munged slurmctld slurmd sbatch; do
        if ! command -v "$program" >/dev/null; then
            echo "no $program: apt-get install slurm-wlm munge" >&2
            exit 1
        fi
    done
    if [[ $(id -u) != 0 ]]; then
        echo "the nodes of the cluster run as root" >&2
        exit 1
    fi
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd -P)
    mkdir -p "$folder"/{pids,munge,state,spool,log}
    chmod 755 "$folder" "$folder/munge"

    head -c 128 /dev/urandom >"$folder/munge/key"
    chmod 400 "$folder/munge/key"
    munged --foreground --force --socket="$folder/munge/socket" --key-file="$folder/munge/key" \
        --pid-file="$folder/munge/pid" --seed-file="$folder/munge/seed" --log-file="$folder/log/munged" \
        >>"$folder/log/munged.out" 2>&1 &
    echo $! >"$folder/pids/munged"

    local host cores memory names
    host=$(hostname -s)
    cores=$(nproc)
    memory=$(awk '/MemTotal/ {print int($2 / 1024 / 2)}' /proc/meminfo)
    names="node[1-$nodes]"
    {
        echo "ClusterName=sweep-test"
        echo "SlurmctldHost=$host(127.0.0.1)"
        echo "SlurmctldPort=$(free_port)"
        echo "SlurmUser=root"
        echo "AuthType=auth/munge"
        # A job that is requeued waits until its earlier credentials are void, else two minutes.
        echo "AuthInfo=socket=$folder/munge/socket,cred_expire=5"
        echo "StateSaveLocation=$folder/state"
        echo "SlurmdSpoolDir=$folder/spool/%n"
        echo "SlurmctldPidFile=$folder/slurmctld.pid"
        echo "SlurmdPidFile=$folder/slurmd-%n.pid"
        echo "SlurmctldLogFile=$folder/log/slurmctld"
        echo "SlurmdLogFile=$folder/log/%n"
        echo "ProctrackType=proctrack/linuxproc"
        echo "TaskPlugin=task/none"
        echo "SelectType=select/cons_tres"
        echo "SelectTypeParameters=CR_Core"
        echo "AccountingStorageType=accounting_storage/none"
        echo "JobAcctGatherType=jobacct_gather/none"
        echo "SchedulerParameters=sched_interval=1,batch_sched_delay=0,default_queue_depth=1000"
        echo "MaxArraySize=${SWEEP_SLURM_MAX_ARRAY:-1001}"
        echo "MaxJobCount=50000"
        echo "KillWait=10"
        echo "MinJobAge=${SWEEP_SLURM_MIN_JOB_AGE:-300}"
        echo "SlurmdTimeout=10"
        echo "ReturnToService=1"
        echo "MpiDefault=none"
        # A node's own port is what tells several on one machine apart. Two CPUs each are promised, whatever there are.
        for node in $(seq "$nodes"); do
            echo "NodeName=node$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=2 RealMemory=$memory State=UNKNOWN"
        done
        echo "PartitionName=all Nodes=$names Default=YES MaxTime=INFINITE State=UP"
    } >"$folder/slurm.conf"
    echo "SlurmdParameters=config_overrides" >>"$folder/slurm.conf"
    {
        echo "export SLURM_CONF='$folder/slurm.conf'"
    } >"$folder/environment"

    export SLURM_CONF=$folder/slurm.conf
    for _ in $(seq 100); do
        [[ -S $folder/munge/socket ]] && break
        sleep 0.05
    done
    slurmctld -D -f "$SLURM_CONF" >>"$folder/log/slurmctld.out" 2>&1 &
    echo $! >"$folder/pids/slurmctld"
    for node in $(seq "$nodes"); do
        slurmd -D -N "node$node" -f "$SLURM_CONF" >>"$folder/log/node$node.out" 2>&1 &
        echo $! >"$folder/pids/slurmd-node$node"
    done
    for _ in $(seq 200); do
        if [[ $(sinfo --noheader --Node --states=idle 2>/dev/null | wc -l) == "$nodes" ]]; then
            echo "$nodes nodes are up; speak to them with: . $folder/environment"
            return
        fi
        sleep 0.1
    done
    echo "the nodes do not come up; $folder/log says why" >&2
    tail -n 5 "$folder"/log/* >&2
    stop
    exit 1
}

"$command"

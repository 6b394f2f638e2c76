"""The plain words of ``explain``, in English and in Chinese.

The words follow docs/healing.md and docs/runbook.md. A message of the operator or of Kubernetes is
quoted as it is, in English.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from selfhealing.api.healing_status import BlockedReason, Remediation
from selfhealing.plugin.view.language import Language


class Text(NamedTuple):
    """A text in both languages; ``{0}`` and ``{1}`` stand for values."""

    en: str
    zh: str

    def format(self, language: Language, *values: object) -> str:
        """Return the text in a language."""
        return (self.en if language is Language.EN else self.zh).format(*values)


class DiagnosisTexts(NamedTuple):
    """What a diagnosis means, and what a person can do about it."""

    meaning: Text
    advice: Text


DIAGNOSES: Final[Mapping[str, DiagnosisTexts]] = {
    "CrashLooping": DiagnosisTexts(
        Text("a container ends again and again", "容器反复退出"),
        Text(
            "read why it ended: kubectl selfheal logs {0} --before",
            "查看它为何退出：kubectl selfheal logs {0} --before",
        ),
    ),
    "LivenessKilled": DiagnosisTexts(
        Text(
            "the kubelet kills a container because its liveness or startup probe fails",
            "存活探针或启动探针失败，kubelet 终止了容器",
        ),
        Text(
            "see whether the app answers its probe in time: kubectl selfheal logs {0} --before, "
            "and kubectl selfheal lint {0} for its times",
            "查看应用能否及时应答探针：kubectl selfheal logs {0} --before；"
            "探针的时间见 kubectl selfheal lint {0}",
        ),
    ),
    "OOMKilled": DiagnosisTexts(
        Text("a container needs more memory than its limit", "容器需要的内存超过它的限制"),
        Text(
            "find the leak, or raise resources.limits.memory in the spec",
            "找出内存泄漏，或者在 spec 中提高 resources.limits.memory",
        ),
    ),
    "ImagePullFailing": DiagnosisTexts(
        Text("an image cannot be pulled", "无法拉取镜像"),
        Text(
            "check the name and tag of the image, and imagePullSecrets for a private registry",
            "检查镜像的名称和标签；私有仓库还要检查 imagePullSecrets",
        ),
    ),
    "ConfigError": DiagnosisTexts(
        Text(
            "a container cannot be created: something that it refers to is missing or wrong",
            "无法创建容器：它引用的东西缺失或有误",
        ),
        Text(
            "create the ConfigMap, Secret or key that the message names, or mend the reference",
            "创建消息中所说的 ConfigMap、Secret 或键，或者改正引用",
        ),
    ),
    "VolumeFailing": DiagnosisTexts(
        Text("a volume cannot be mounted", "无法挂载卷"),
        Text(
            "look at the claim: kubectl get pvc; a volume may still be attached to another node",
            "查看声明：kubectl get pvc；卷可能仍挂接在另一个节点上",
        ),
    ),
    "StartFailing": DiagnosisTexts(
        Text(
            "a container cannot be started, or does not finish starting",
            "无法启动容器，或者一直没有启动完",
        ),
        Text(
            "check command, args and the platform of the image, or give it a startup probe with "
            "more time",
            "检查 command、args 和镜像的平台，或者给启动探针更多时间",
        ),
    ),
    "Unschedulable": DiagnosisTexts(
        Text("no node takes a pod", "没有节点接纳 Pod"),
        Text(
            "lower the requests, mend nodeSelector, affinity and tolerations, or add a node",
            "降低 requests，改正 nodeSelector、亲和性和容忍度，或者增加节点",
        ),
    ),
    "RolloutStalled": DiagnosisTexts(
        Text("the rollout makes no progress", "发布没有进展"),
        Text(
            "see the state of the new pods: kubectl selfheal status {0}",
            "查看新 Pod 的状态：kubectl selfheal status {0}",
        ),
    ),
    "NotReadyTooLong": DiagnosisTexts(
        Text("a pod runs but does not become ready", "Pod 在运行，但一直没有就绪"),
        Text(
            "see what its readiness probe gets, and whether what it depends on answers",
            "查看就绪探针得到什么应答，以及它依赖的服务是否应答",
        ),
    ),
    "StuckTerminating": DiagnosisTexts(
        Text("a deleted pod does not go away", "被删除的 Pod 一直没有消失"),
        Text(
            "see its finalizers and its node: kubectl get pod -o yaml",
            "查看它的 Finalizer 和节点：kubectl get pod -o yaml",
        ),
    ),
    "NodeLost": DiagnosisTexts(
        Text("a node does not answer any more", "节点失联"),
        Text("look at the node: kubectl get nodes", "查看节点：kubectl get nodes"),
    ),
    "PodsFailed": DiagnosisTexts(
        Text("nodes reject or evict pods", "节点拒收或驱逐 Pod"),
        Text(
            "see why in the message: pressure of the node, or a limit of the pod's storage",
            "消息写明原因：节点的压力，或者 Pod 自己的存储限制",
        ),
    ),
    "PodsRefused": DiagnosisTexts(
        Text("the API server or a webhook refuses pods", "API 服务器或 Webhook 拒绝 Pod"),
        Text(
            "mend what the message names, or ask who runs the policy or webhook",
            "改正消息中所说的内容，或者询问策略或 Webhook 的负责人",
        ),
    ),
    "QuotaExceeded": DiagnosisTexts(
        Text("a quota of the namespace refuses pods", "命名空间的配额拒绝 Pod"),
        Text(
            "see kubectl describe quota; lower requests or replicas, or ask for more",
            "查看 kubectl describe quota；降低 requests 或副本数，或者申请更多配额",
        ),
    ),
    "MetricsUnavailable": DiagnosisTexts(
        Text("the autoscaler gets no metrics", "自动扩缩器取不到指标"),
        Text(
            "see whether metrics-server runs, and whether the spec has requests for what is scaled",
            "查看 metrics-server 是否运行，以及 spec 是否有所扩缩资源的 requests",
        ),
    ),
    "DependencyDown": DiagnosisTexts(
        Text(
            "all pods fell ill at the same time: what they depend on is the likely cause",
            "所有 Pod 同时出现故障：原因很可能是它们依赖的服务",
        ),
        Text(
            "see which service, database or network the logs complain about",
            "查看日志抱怨哪个服务、数据库或网络",
        ),
    ),
    "CPUThrottled": DiagnosisTexts(
        Text(
            "a container that is not ready uses all of its CPU limit", "未就绪的容器用满了 CPU 限制"
        ),
        Text(
            "raise resources.limits.cpu, or remove the limit",
            "提高 resources.limits.cpu，或者去掉该限制",
        ),
    ),
    "ReadinessFlapping": DiagnosisTexts(
        Text("a pod becomes ready and not ready in turn", "Pod 反复就绪、又变为未就绪"),
        Text(
            "give the readiness probe more patience, or find what is slow at times",
            "让就绪探针更有耐心，或者找出时快时慢的原因",
        ),
    ),
    "ScalingLimited": DiagnosisTexts(
        Text("the autoscaler wants more pods than it may have", "自动扩缩器想要的 Pod 超过上限"),
        Text("raise autoscaling.maxReplicas", "提高 autoscaling.maxReplicas"),
    ),
    "MemoryClimbing": DiagnosisTexts(
        Text("a pod is about to reach its memory limit", "Pod 的内存即将达到限制"),
        Text(
            "find the leak, or raise resources.limits.memory in the spec",
            "找出内存泄漏，或者在 spec 中提高 resources.limits.memory",
        ),
    ),
}
"""By the type of a diagnosis (``health.pod_diagnosis.DiagnosisType``)."""

CAUSES: Final[Mapping[str, Text]] = {
    "NewVersion": Text("the version that the spec asks for", "spec 所要求的版本"),
    "ForeignEdit": Text(
        "fields that somebody else put into the Deployment", "别人加进 Deployment 的字段"
    ),
    "Node": Text("a node", "某个节点"),
    "Pod": Text("single pods, not the version", "个别 Pod，而不是版本"),
    "Environment": Text(
        "something outside the app: a registry, a quota, a webhook, a database, the network",
        "应用之外的东西：镜像仓库、配额、Webhook、数据库或网络",
    ),
    "Unknown": Text("nobody could be shown to be the cause", "无法证明是谁的问题"),
}

CONFIDENCES: Final[Mapping[str, Text]] = {
    "High": Text("certain", "确定"),
    "Medium": Text("likely", "很可能"),
    "Low": Text("not proven", "未经证明"),
}

REMEDIATIONS: Final[Mapping[Remediation, Text]] = {
    Remediation.REMOVE_FOREIGN_FIELDS: Text(
        "it removes the fields that somebody added to the pod template",
        "移除别人加进 Pod 模板的字段",
    ),
    Remediation.ROLLBACK: Text("it goes back to the stable revision", "回到稳定版本"),
    Remediation.RAISE_MEMORY: Text("it raises the memory limit", "提高内存限制"),
    Remediation.RAISE_CPU: Text("it raises the CPU limit", "提高 CPU 限制"),
    Remediation.RELAX_LIVENESS: Text(
        "it lets the liveness probe fail three times as often, for an hour",
        "一小时之内，存活探针可以失败三倍的次数",
    ),
    Remediation.REPLACE_POD: Text("it replaces one pod by a new one", "用新的 Pod 替换一个 Pod"),
    Remediation.AVOID_NODE: Text("it moves the pods away from a node", "把 Pod 移离一个节点"),
    Remediation.FAILOVER: Text(
        "it replaces the pods of the lost node on other nodes", "在其他节点上替换失联节点上的 Pod"
    ),
    Remediation.SCALING_FALLBACK: Text(
        "it raises the least number of pods while there are no metrics",
        "取不到指标期间提高 Pod 的最少个数",
    ),
    Remediation.QUARANTINE: Text(
        "it stops healing, and keeps a failing pod for inspection",
        "停止自愈，并保留一个有故障的 Pod 以供检查",
    ),
}

BLOCKED_REASONS: Final[Mapping[BlockedReason, Text]] = {
    BlockedReason.STARTING_UP: Text(
        "the operator has just started, and looks on for a minute first",
        "Operator 刚刚启动，先观察一分钟",
    ),
    BlockedReason.STALE_CACHE: Text(
        "the operator waits until its picture of the app is fresh", "Operator 等待应用的最新状态"
    ),
    BlockedReason.STORM: Text(
        "many apps fell ill at once; nothing is done before that ends: look for what they share",
        "许多应用同时出现故障，风暴结束之前什么也不做：查找它们的共同点",
    ),
    BlockedReason.ACTION_LIMIT: Text(
        "other apps are being healed, this one follows", "正在处置其他应用，随后轮到这个应用"
    ),
    BlockedReason.NODES_LOST: Text(
        "many nodes are lost, or no other node can take the pods",
        "失联的节点太多，或者没有别的节点能接收 Pod",
    ),
    BlockedReason.COOLDOWN: Text("the pause after the last action", "上一个动作之后的冷却时间"),
    BlockedReason.QUARANTINED: Text(
        "the app is quarantined: a person has to look", "应用已被隔离：需要人工处理"
    ),
    BlockedReason.AWAITING_APPROVAL: Text("a person has to approve it", "等待有人批准"),
    BlockedReason.ROLLOUT_PAUSED: Text(
        "somebody has paused the Deployment", "有人暂停了 Deployment"
    ),
    BlockedReason.NOT_DUE: Text(
        "it waits whether the problem passes by itself", "先等待，看问题是否自行消失"
    ),
    BlockedReason.CHECKING_TARGET: Text(
        "it is tried out whether the stable revision would start", "正在试运行稳定版本能否启动"
    ),
    BlockedReason.TARGET_UNUSABLE: Text(
        "the stable revision would not start either", "稳定版本同样无法启动"
    ),
    BlockedReason.NO_REMEDIATION: Text(
        "nothing that the operator may do would help", "Operator 可以做的都没有帮助"
    ),
}

HEADINGS: Final[Mapping[str, Text]] = {
    "state": Text("State", "状态"),
    "problem": Text("What is wrong", "出了什么问题"),
    "cause": Text("Whose fault it is, and how that was found", "是谁的问题，怎样判定的"),
    "next": Text("What will happen next", "接下来会发生什么"),
    "advice": Text("What you can do", "你可以做什么"),
    "evidence": Text("Evidence", "证据"),
}

PHRASES: Final[Mapping[str, Text]] = {
    "well": Text("nothing is wrong", "没有问题"),
    "outdated": Text(
        "the operator has not looked at the present spec yet", "Operator 还没有查看当前的 spec"
    ),
    "since": Text("{0}, for {1}: {2}", "{0}，已持续 {1}：{2}"),
    "shown": Text("seen: {0}", "现象：{0}"),
    "pods": Text("in {0} of the pods", "涉及 {0} 个 Pod"),
    "cause": Text("{0}: {1} ({2})", "{0}：{1}（{2}）"),
    "comparison": Text("how that was found: {0}", "怎样判定的：{0}"),
    "nothing": Text("the operator does nothing now", "Operator 现在什么也不做"),
    "running": Text("{0} is in progress for {1}: {2}", "{0} 正在进行，已 {1}：{2}"),
    "next": Text("{0}, {1}: {2}", "{0}，{1}：{2}"),
    "at": Text("at {0} UTC at the earliest (in {1})", "最早在 {0} UTC（{1} 之后）"),
    "soon": Text("as soon as it may", "一旦允许就进行"),
    "waits": Text("why not now: {0}", "为什么还没有执行：{0}"),
    "cooldown": Text("no action starts before {0} UTC", "{0} UTC 之前不开始任何动作"),
    "override": Text("in force instead of the spec: {0}, {1}", "代替 spec 生效：{0}，{1}"),
    "budget": Text("{0} more actions are allowed now", "现在还允许 {0} 个动作"),
    "mode": Text("healing mode {0}: {1}", "自愈模式 {0}：{1}"),
    "approve": Text(
        "approve {0}: kubectl selfheal approve {1}", "批准 {0}：kubectl selfheal approve {1}"
    ),
    "resume": Text(
        "when it is mended: kubectl selfheal resume {0}", "修好之后：kubectl selfheal resume {0}"
    ),
    "retry": Text(
        "change the spec to a version that works; to try the failed one again: "
        "kubectl selfheal retry {0}",
        "把 spec 改成可用的版本；要再试失败的版本：kubectl selfheal retry {0}",
    ),
    "unpause": Text(
        "let the operator go on: kubectl selfheal unpause {0}",
        "让 Operator 继续：kubectl selfheal unpause {0}",
    ),
    "unpause-rollout": Text(
        "let the rollout go on: kubectl rollout resume deployment/{0}",
        "让发布继续：kubectl rollout resume deployment/{0}",
    ),
    "spec": Text("mend the spec as the message says", "按消息改正 spec"),
    "runbook": Text("more about it: section {0} of the runbook", "详见运行手册的 {0} 一节"),
    "wait": Text("nothing has to be done", "无需操作"),
    "restart": Text(
        "last restart: pod {0}, container {1}, {2}{3}, {4} ago",
        "最近一次重启：Pod {0}，容器 {1}，{2}{3}，{4} 之前",
    ),
    "saved": Text(
        "saved before {0} (id {1}): kubectl get configmap {2} -o yaml, key {3}",
        "{0}（id {1}）之前保存：kubectl get configmap {2} -o yaml，键 {3}",
    ),
    "condition": Text("{0} is {1} ({2}): {3}", "{0} 为 {1}（{2}）：{3}"),
}


class OverrideTexts(NamedTuple):
    """What is in force instead of the spec, and what ends it."""

    text: Text
    end: Text


_SPEC_CHANGES: Final = Text("until the pods in the spec change", "直到 spec 中的 Pod 改变")

OVERRIDES: Final[Mapping[str, OverrideTexts]] = {
    "rollback": OverrideTexts(
        Text(
            "the stable revision {0} ({1}), because {2} failed",
            "稳定版本 {0}（{1}），因为 {2} 失败了",
        ),
        Text("until the spec changes or a person resumes", "直到 spec 改变或有人恢复"),
    ),
    "rollback-for-a-time": OverrideTexts(
        Text(
            "the stable revision {0} ({1}), because {2} failed",
            "稳定版本 {0}（{1}），因为 {2} 失败了",
        ),
        Text("until {3} UTC, or the spec changes", "直到 {3} UTC，或者 spec 改变"),
    ),
    "memory": OverrideTexts(
        Text("memory limit {1} of container {0}", "容器 {0} 的内存限制 {1}"), _SPEC_CHANGES
    ),
    "cpu": OverrideTexts(
        Text("CPU limit {1} of container {0}", "容器 {0} 的 CPU 限制 {1}"), _SPEC_CHANGES
    ),
    "liveness": OverrideTexts(
        Text("the liveness probe may fail three times as often", "存活探针可以失败三倍的次数"),
        Text("until {0} UTC", "直到 {0} UTC"),
    ),
    "node": OverrideTexts(
        Text("no new pods on node {0}", "节点 {0} 上没有新的 Pod"),
        Text("until {1} UTC", "直到 {1} UTC"),
    ),
    "replicas": OverrideTexts(
        Text(
            "at least {0} pods, because the autoscaler has no metrics",
            "至少 {0} 个 Pod，因为自动扩缩器取不到指标",
        ),
        Text("until it has", "直到取到指标"),
    ),
    "pod": OverrideTexts(
        Text("pod {0} is isolated", "Pod {0} 被隔离"),
        Text("deleted at {1} UTC", "{1} UTC 删除"),
    ),
}
"""What healing may put in place of the spec (``view.overrides``)."""

MODES: Final[Mapping[str, Text]] = {
    "Auto": Text("it acts by itself", "自动处置"),
    "Approve": Text("it asks before it acts", "处置之前先请求批准"),
    "Observe": Text("it only reports what it would do", "只报告本来会做什么"),
    "Off": Text("it does nothing", "什么也不做"),
}
